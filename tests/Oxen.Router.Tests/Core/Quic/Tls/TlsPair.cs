using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>A client and a server session that speak to each other without a network. All randomness comes from the seed.</summary>
internal sealed class TlsPair : IDisposable
{
    public static readonly byte[] ClientParameters = [1, 2, 3, 4, 5];
    public static readonly byte[] ServerParameters = [9, 8, 7];

    private readonly SeededEntropy _cuts;

    public TlsPair(ulong seed, TlsClientOptions client, TlsServerOptions server)
    {
        _cuts = new SeededEntropy(seed ^ 0x5EED);
        Client = TlsSession.Client(client, ClientParameters, new SeededEntropy(2 * seed));
        Server = TlsSession.Server(server, ServerParameters, new SeededEntropy(2 * seed + 1));
    }

    public TlsSession Client { get; }

    public TlsSession Server { get; }

    public byte ClientAlert { get; private set; }

    public byte ServerAlert { get; private set; }

    /// <summary>Both ends finished without an alert.</summary>
    public bool IsComplete => Client.IsHandshakeComplete && Server.IsHandshakeComplete && ClientAlert == 0 && ServerAlert == 0;

    /// <summary>Everything sent, in order: by the client?, level, bytes before <see cref="Change"/>.</summary>
    public List<(bool FromClient, EncryptionLevel Level, byte[] Bytes)> Flights { get; } = [];

    /// <summary>The wire's mischief: gets (flight number, bytes), returns what arrives.</summary>
    public Func<int, byte[], byte[]> Change { get; set; } = (_, bytes) => bytes;

    /// <summary>Largest piece handed over at once; 0: whole flights.</summary>
    public int Pieces { get; set; }

    public static byte[] Protocol => "oxen-link/1"u8.ToArray();

    public static TlsIdentity Identity(byte name)
    {
        byte[] seed = new byte[32];
        seed.AsSpan().Fill(name);
        return TlsIdentity.FromSeed(seed);
    }

    /// <summary>Runs until both are silent or one has an alert.</summary>
    public TlsPair Run()
    {
        Client.Start();
        bool moved = true;
        while (moved && ClientAlert == 0 && ServerAlert == 0)
        {
            moved = false;
            while (ClientAlert == 0 && Client.TryTakeOutput(out EncryptionLevel level, out byte[] bytes))
            {
                moved = true;
                ServerAlert = Deliver(Server, true, level, bytes);
                if (ServerAlert != 0) return this;
            }

            while (ServerAlert == 0 && Server.TryTakeOutput(out EncryptionLevel level, out byte[] bytes))
            {
                moved = true;
                ClientAlert = Deliver(Client, false, level, bytes);
                if (ClientAlert != 0) return this;
            }
        }

        return this;
    }

    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
    }

    private byte Deliver(TlsSession to, bool fromClient, EncryptionLevel level, byte[] bytes)
    {
        Flights.Add((fromClient, level, bytes));
        ReadOnlySpan<byte> left = Change(Flights.Count - 1, bytes);
        while (!left.IsEmpty)
        {
            int take = Pieces == 0 ? left.Length : Math.Min(left.Length, 1 + _cuts.Next(Pieces));
            byte alert = to.HandleCrypto(level, left[..take]);
            if (alert != 0) return alert;
            left = left[take..];
        }

        return 0;
    }
}
