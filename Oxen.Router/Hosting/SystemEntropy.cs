using System.Security.Cryptography;
using Oxen.Router.Core;

namespace Oxen.Router.Hosting;

/// <summary>
/// Random bytes from the operating system. Public bytes come out of a buffer (a system call per connection id would be dear) and
/// are erased there as they leave; secret bytes never touch it.
/// </summary>
/// <remarks>One thread at a time: every loop has its own.</remarks>
internal sealed class SystemEntropy : IEntropy
{
    private readonly byte[] _buffer = new byte[4096];
    private int _left;

    public void FillPublic(Span<byte> destination)
    {
        if (destination.Length > _buffer.Length / 4)
        {
            RandomNumberGenerator.Fill(destination);
            return;
        }

        if (_left < destination.Length)
        {
            RandomNumberGenerator.Fill(_buffer);
            _left = _buffer.Length;
        }

        Span<byte> taken = _buffer.AsSpan(_buffer.Length - _left, destination.Length);
        taken.CopyTo(destination);
        taken.Clear();
        _left -= destination.Length;
    }

    public void FillSecret(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
