using System.Security.Cryptography;
using Oxen.Router.Core;

namespace Oxen.Testing;

/// <summary>Random bytes from a seed, the same in every run: SHA-256 of (seed, stream, block number).</summary>
internal sealed class SeededEntropy(ulong seed) : IEntropy
{
    private readonly byte[] _input = new byte[17];
    private readonly byte[] _block = new byte[32];
    private ulong _counter;
    private int _left;

    public void FillPublic(Span<byte> destination) => Fill(destination);

    public void FillSecret(Span<byte> destination) => Fill(destination);

    public ulong NextUInt64()
    {
        Span<byte> bytes = stackalloc byte[8];
        Fill(bytes);
        return BitConverter.ToUInt64(bytes);
    }

    /// <summary>Uniform in [0, bound).</summary>
    public int Next(int bound) => (int)(NextUInt64() % (ulong)bound);

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    private void Fill(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (_left == 0)
            {
                BitConverter.TryWriteBytes(_input, seed);
                BitConverter.TryWriteBytes(_input.AsSpan(8), _counter++);
                SHA256.HashData(_input, _block);
                _left = _block.Length;
            }

            int n = Math.Min(_left, destination.Length);
            _block.AsSpan(_block.Length - _left, n).CopyTo(destination);
            _left -= n;
            destination = destination[n..];
        }
    }
}
