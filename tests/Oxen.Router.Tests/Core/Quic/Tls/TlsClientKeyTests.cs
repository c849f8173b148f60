using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>What a server answers to the client's last flight.</summary>
public sealed class TlsClientKeyTests : IDisposable
{
    private readonly TlsIdentity _alice = TlsPair.Identity(1);
    private readonly TlsIdentity _bob = TlsPair.Identity(2);

    [Fact]
    public void A_missing_client_key_is_required()
    {
        Assert.Equal(TlsAlert.CertificateRequired, Answer(required: true, _ => [TlsEdit.Certificate()]));
        Assert.Equal(TlsAlert.UnexpectedMessage, Answer(required: true, m => [m[2]]));      // straight to Finished
        Assert.Equal(TlsAlert.DecryptError, Answer(required: false, m => [TlsEdit.Certificate(), m[2]]));    // allowed, but not what was signed
    }

    [Fact]
    public void The_clients_raw_key_has_one_form()
    {
        byte[] spki = TlsEdit.Spki(_alice.PublicKey);
        Assert.Equal(0, Answer(true, m => m));
        Assert.Equal(TlsAlert.BadCertificate, Answer(true, _ => [TlsEdit.Certificate([.. spki, 0])]));
        Assert.Equal(TlsAlert.UnsupportedCertificate, Answer(true, _ => [TlsEdit.Certificate([.. spki[..8], 0x6E, .. spki[9..]])]));
        Assert.Equal(TlsAlert.BadCertificate, Answer(true, _ => [TlsEdit.Certificate(Rfc8448.Certificate[11..^2])]));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(true, _ => [TlsEdit.Certificate(spki, spki)]));
        Assert.Equal(TlsAlert.DecryptError, Answer(true, m => [TlsEdit.Certificate(TlsEdit.Spki(_bob.PublicKey)), m[1], m[2]]));    // a key it does not hold
    }

    [Fact]
    public void The_clients_proof_and_Finished_must_hold()
    {
        Assert.Equal(TlsAlert.DecryptError, Answer(true, m => [m[0], Flip(m[1], 20), m[2]]));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(true, m => [m[0], Flip(m[1], 5), m[2]]));       // the scheme
        Assert.Equal(TlsAlert.DecryptError, Answer(true, m => [m[0], m[1], Flip(m[2], 30)]));
        Assert.Equal(TlsAlert.UnexpectedMessage, Answer(true, m => [m[0], m[2]]));
        Assert.Equal(TlsAlert.UnexpectedMessage, Answer(true, m => [m[0], m[1], m[2], [1]]));
        Assert.Equal(TlsAlert.UnexpectedMessage, Answer(true, m => [[5, 0, 0, 0], .. m]));             // EndOfEarlyData
    }

    [Fact]
    public void The_servers_door_may_say_no()
    {
        byte[]? asked = null;
        foreach (bool welcome in (bool[])[true, false])
        {
            TlsServerOptions server = new()
            {
                Identity = _bob,
                RequireClientKey = true,
                Alpn = [TlsPair.Protocol],
                AcceptClientKey = key =>
                {
                    asked = key.ToArray();
                    return welcome;
                },
            };
            using TlsPair pair = new TlsPair(1, Client(), server).Run();
            Assert.Equal(welcome, pair.IsComplete);
            Assert.Equal(welcome ? 0 : TlsAlert.AccessDenied, pair.ServerAlert);
            Assert.Equal(_alice.PublicKey.ToArray(), asked);
            Assert.Equal(welcome ? _alice.PublicKey.ToArray() : [], pair.Server.PeerPublicKey.ToArray());
        }
    }

    public void Dispose()
    {
        _alice.Dispose();
        _bob.Dispose();
    }

    private static byte[] Flip(byte[] message, int at)
    {
        message[at] ^= 1;
        return message;
    }

    private TlsClientOptions Client() => new() { Identity = _alice, PinnedServerKey = _bob.PublicKey.ToArray(), Alpn = [TlsPair.Protocol] };

    // Edits the client's Certificate, CertificateVerify, Finished.
    private byte Answer(bool required, Func<List<byte[]>, List<byte[]>> edit)
    {
        TlsServerOptions options = new() { Identity = _bob, RequestClientKey = true, RequireClientKey = required, Alpn = [TlsPair.Protocol] };
        using TlsPair pair = new(1, Client(), options) { Change = (_, bytes) => bytes };
        pair.Change = (i, bytes) => i == 3 ? [.. edit(TlsEdit.Split(bytes)).SelectMany(m => m)] : bytes;
        pair.Run();
        Assert.Equal(4, pair.Flights.Count);
        Assert.Equal(0, pair.ClientAlert);
        Assert.Equal(pair.ServerAlert == 0, pair.Server.IsHandshakeComplete);
        return pair.ServerAlert;
    }
}
