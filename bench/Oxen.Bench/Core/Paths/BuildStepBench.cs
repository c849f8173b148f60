using BenchmarkDotNet.Attributes;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native.Sodium;

namespace Oxen.Bench.Core.Paths;

/// <summary>A relay's whole part in one path build (request and reply), beside the bare primitives that it cannot do without.</summary>
[MemoryDiagnoser]
public class BuildStepBench : IDisposable
{
    internal const int Builds = 1024;

    private const uint Epoch = 29_453_760;

    private readonly SystemEntropy _entropy = new();
    private readonly byte[][] _messages = new byte[Builds][];
    private readonly byte[] _work = new byte[BuildFormat.MessageBytes];
    private readonly byte[] _noise = new byte[BuildFormat.MessageBytes];
    private readonly byte[] _shared = new byte[32];
    private readonly byte[] _layer = new byte[LayerKeys.RawBytes];
    private RouterIdentity _identity = null!;
    private OnionKeyRing _ring = null!;
    private BuildProcessor _processor = null!;

    [GlobalSetup]
    public void Prepare()
    {
        _identity = RouterIdentity.Create(_entropy);
        _ring = new OnionKeyRing(OnionKeyPair.Create(_entropy), Instant.Zero);
        RouterContact[] hops = [Contact(_identity, _ring.Current, 1), Contact(RouterIdentity.Create(_entropy), OnionKeyPair.Create(_entropy), 2)];
        for (int i = 0; i < Builds; i++)
        {
            using PathBuilder builder = PathBuilder.Create(hops, SizeClass.Full, Epoch, _entropy);
            builder.WriteRequest(_messages[i] = new byte[BuildFormat.MessageBytes]);
        }

        _entropy.FillPublic(_noise);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _identity.Dispose();
        _ring.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>A message opens once: every iteration begins with an empty replay cache.</summary>
    [IterationSetup]
    public void Forget() => _processor = new BuildProcessor(_identity.Id, _ring, BuildPolicy.Default, _entropy);

    [Benchmark(OperationsPerInvoke = Builds)]
    public int Relay_step()
    {
        int opened = 0;
        foreach (byte[] message in _messages)
        {
            message.CopyTo(_work, 0);
            if (_processor.Process(_work, Epoch, _entropy, out BuildStep? step) != BuildOutcome.Transit) continue;
            _processor.WriteReply(step!, BuildStatus.Accepted, _work);
            step!.Dispose();
            opened++;
        }

        return opened == Builds ? opened : throw new InvalidOperationException("a build was refused");
    }

    /// <summary>Two agreements, a fresh share, a decapsulation, and the layer over seven records each way.</summary>
    [Benchmark(OperationsPerInvoke = Builds, Baseline = true)]
    public void Sum_of_primitives()
    {
        OnionKeyPair key = _ring.Current;
        foreach (byte[] message in _messages)
        {
            X25519.TryAgree(message.AsSpan(0, 32), key.XSecret, _shared);
            MlKem768.Decapsulate(message.AsSpan(32, MlKem768.CiphertextBytes), key.KemSecret, _shared);
            X25519.PublicKey(key.XSecret, _shared);
            X25519.TryAgree(message.AsSpan(0, 32), key.XSecret, _shared);
            BuildLayer.Forward(_work, _layer, PathDirection.Upstream);
            BuildLayer.Forward(_work, _layer, PathDirection.Downstream);
        }
    }

    [Benchmark(OperationsPerInvoke = Builds)]
    public void Noise_refused()
    {
        for (int i = 0; i < Builds; i++)
        {
            _noise[i]++;
            _processor.Process(_noise, Epoch, _entropy, out _);
        }
    }

    private RouterContact Contact(RouterIdentity identity, OnionKeyPair key, byte number)
        => RouterContact.Create(identity, key, RouterCapabilities.Relay, [UdpAddress.FromBytes([127, number, 0, 1], 1)], "", "", 1, 2);

    private sealed class SystemEntropy : IEntropy
    {
        public void FillPublic(Span<byte> destination) => System.Security.Cryptography.RandomNumberGenerator.Fill(destination);

        public void FillSecret(Span<byte> destination) => System.Security.Cryptography.RandomNumberGenerator.Fill(destination);
    }
}
