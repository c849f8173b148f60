using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native.Sodium;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>
/// A terminal hop written from docs/protocol/path-build.md alone, with the library's HKDF and AEAD and NSec's X25519 (of
/// ours only ML-KEM's import, which has vectors of its own): our client must build a path that ends at it.
/// </summary>
public sealed class PathBuildReferenceTests
{
    private const uint Epoch = BuildRig.Epoch;

    [Fact]
    public void A_path_ends_at_a_hop_that_knows_only_the_specification()
    {
        var entropy = new SeededEntropy(80);
        using var rig = new BuildRig(81, 1);
        byte[] onionSeed = new byte[96];
        entropy.FillSecret(onionSeed);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using var onionKey = new OnionKeyPair(onionSeed);
        RouterContact contact = RouterContact.Create(identity, onionKey, RouterCapabilities.Exit, [UdpAddress.FromBytes([127, 99, 0, 1], 1)], "", "", 1, 2);

        using PathBuilder builder = PathBuilder.Create([rig.Routers[0].Contact, contact], SizeClass.Reduced, Epoch, entropy);
        byte[] message = new byte[8 * 1280];
        builder.WriteRequest(message);
        Assert.Equal(BuildOutcome.Transit, rig.Processors[0].Process(message, Epoch, entropy, out BuildStep? first));
        Assert.Equal(identity.Id, first!.NextHop);

        // Open the record.
        byte[] record = message[..1280];
        byte[] share = record[..32];
        byte[] ciphertext = record[32..1120];
        byte[] relayId = identity.Id.ToArray();
        byte[] keyPart = [.. contact.OnionXPublic, .. contact.OnionKemPublic];
        byte[] keyId = SHA256.HashData([.. "oxen onion key v1"u8, .. keyPart])[..8];
        byte[] context = SHA256.HashData([.. "oxen path relay v1"u8, .. relayId, .. keyId, .. keyPart]);
        byte[] recordHash = SHA256.HashData([.. "oxen path record v1"u8, .. context, .. share, .. ciphertext]);
        byte[] kemPublic = new byte[1184], kemSecret = new byte[2400], ssKem = new byte[32];
        MlKem768.GenerateKeyPair(onionSeed.AsSpan(32), kemPublic, kemSecret);
        Assert.True(MlKem768.Decapsulate(ciphertext, kemSecret, ssKem));
        byte[] ssStatic = Agree(onionSeed[..32], share);
        byte[] seal = Hkdf("oxen path seal v1", [.. ssStatic, .. ssKem], recordHash, 96);
        byte[] instructions = new byte[144];
        using (var aead = new System.Security.Cryptography.ChaCha20Poly1305(seal.AsSpan(0, 32)))
        {
            aead.Decrypt(new byte[12], record.AsSpan(1120, 144), record.AsSpan(1264, 16), instructions);
        }

        Assert.Equal(new byte[32], instructions[..32]);
        Assert.Equal(Epoch, BinaryPrimitives.ReadUInt32BigEndian(instructions.AsSpan(32)));
        Assert.Equal([1, 2, 1, 1], instructions[36..40]);   // version, terminal, reduced, suite
        Assert.Equal(new byte[8], instructions[40..48]);
        Assert.Equal(new byte[64], instructions[80..]);

        // Answer it.
        byte[] secret = new byte[32];
        entropy.FillSecret(secret);
        using Key ephemeral = Key.Import(KeyAgreementAlgorithm.X25519, secret, KeyBlobFormat.RawPrivateKey);
        byte[] relayShare = ephemeral.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        byte[] transcript = SHA256.HashData([.. "oxen path transcript v1"u8, .. recordHash, .. SHA256.HashData(record), .. relayShare]);
        byte[] final = Hkdf("oxen path final v1", [.. ssStatic, .. ssKem, .. Agree(secret, share)], transcript, 192);
        byte[] status = new byte[1232];
        status[1] = 1;
        BinaryPrimitives.WriteUInt32BigEndian(status.AsSpan(4), Epoch);
        entropy.FillPublic(message);
        relayShare.CopyTo(message, 0);
        using (var aead = new System.Security.Cryptography.ChaCha20Poly1305(final.AsSpan(96, 32)))
        {
            aead.Encrypt(new byte[12], status, message.AsSpan(32, 1232), message.AsSpan(1264, 16));
        }

        rig.Processors[0].WriteReply(first, BuildStatus.Accepted, message);
        using PathBuildResult result = builder.ReadReply(message);
        Assert.True(result.IsBuilt);
        Assert.Equal(final[..32], result.Hops[1].ChainUpstream.ToArray());
        Assert.Equal(final[32..64], result.Hops[1].ChainDownstream.ToArray());
        Assert.Equal(final[64..96], result.Hops[1].SessionSecret.ToArray());
        Assert.Equal(transcript, result.Hops[1].Transcript.ToArray());
    }

    private static byte[] Hkdf(string salt, byte[] ikm, byte[] info, int length) => HKDF.DeriveKey(HashAlgorithmName.SHA256, ikm, length, Encoding.ASCII.GetBytes(salt), info);

    private static byte[] Agree(byte[] secret, byte[] peer)
    {
        using Key key = Key.Import(KeyAgreementAlgorithm.X25519, secret, KeyBlobFormat.RawPrivateKey);
        PublicKey publicKey = PublicKey.Import(KeyAgreementAlgorithm.X25519, peer, KeyBlobFormat.RawPublicKey);
        using SharedSecret shared = KeyAgreementAlgorithm.X25519.Agree(key, publicKey, new SharedSecretCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport })!;
        return shared.Export(SharedSecretBlobFormat.RawSharedSecret);
    }
}
