using System.Security.Cryptography;
using Oxen.Router.Core;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// Random bytes from a number, for `oxen demo --seed`: the same keys and the same choice of relays each time. Thread-safe, and
/// of no use anywhere but in a demo: who knows the number knows every key.
/// </summary>
internal sealed class SeedEntropy(ulong seed) : IEntropy
{
    private readonly Lock _lock = new();
    private ulong _counter;

    public void FillPublic(Span<byte> destination) => FillSecret(destination);

    public void FillSecret(Span<byte> destination)
    {
        Span<byte> input = stackalloc byte[16];
        Span<byte> block = stackalloc byte[32];
        BitConverter.TryWriteBytes(input, seed);
        lock (_lock)
        {
            while (!destination.IsEmpty)
            {
                BitConverter.TryWriteBytes(input[8..], _counter++);
                SHA256.HashData(input, block);
                int n = Math.Min(block.Length, destination.Length);
                block[..n].CopyTo(destination);
                destination = destination[n..];
            }
        }
    }
}
