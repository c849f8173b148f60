using BenchmarkDotNet.Attributes;

namespace Oxen.Bench.Core;

/// <summary>One body of the full class through each kernel, beside libsodium and the runtime; 0 bytes allocated.</summary>
[MemoryDiagnoser]
public class SymmetricBenchmarks : IDisposable
{
    private const int Many = 1000;

    private readonly SymmetricSubjects _s = new();

    [Benchmark(OperationsPerInvoke = Many)] public void AegisSeal() => _s.AegisSeal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void AegisSealOpen() => _s.AegisSealOpen(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void SodiumAegisSeal() => _s.SodiumAegisSeal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void SodiumAegisSealOpen() => _s.SodiumAegisSealOpen(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void ChaCha20() => _s.ChaCha20Xor(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void SodiumChaCha20() => _s.SodiumChaCha20Xor(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void ChaCha20Poly1305Seal() => _s.ChaCha20Poly1305Seal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void RuntimeChaCha20Poly1305Seal() => _s.RuntimeChaCha20Poly1305Seal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void Gcm128Seal() => _s.Gcm128Seal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void RuntimeGcm128Seal() => _s.RuntimeGcm128Seal(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void Polyval() => _s.PolyvalHash(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void AesCtr() => _s.AesCtrXor(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void OnionLayerForward() => _s.LayerForward(Many);

    [Benchmark(OperationsPerInvoke = Many)] public void OnionLayerInverse() => _s.LayerInverse(Many);

    [GlobalCleanup]
    public void Dispose()
    {
        _s.Dispose();
        GC.SuppressFinalize(this);
    }
}
