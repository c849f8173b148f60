using System.Security.Cryptography;
using Oxen.Router.Core;

namespace Oxen.Router.Hosting;

/// <summary>
/// Random bytes from the operating system. Public bytes come out of a buffer (a system call per connection id would be dear) and
/// are erased there as they leave; secret bytes never touch it.
/// </summary>
/// <remarks>The buffer is the calling thread's own: two threads that shared one would now and then be given the same bytes.</remarks>
internal sealed class SystemEntropy : IEntropy
{
    private const int BufferBytes = 4096;

    [ThreadStatic]
    private static byte[]? t_buffer;

    [ThreadStatic]
    private static int t_left;

    public void FillPublic(Span<byte> destination)
    {
        if (destination.Length > BufferBytes / 4)
        {
            RandomNumberGenerator.Fill(destination);
            return;
        }

        byte[] buffer = t_buffer ??= new byte[BufferBytes];
        if (t_left < destination.Length)
        {
            RandomNumberGenerator.Fill(buffer);
            t_left = BufferBytes;
        }

        Span<byte> taken = buffer.AsSpan(BufferBytes - t_left, destination.Length);
        taken.CopyTo(destination);
        taken.Clear();
        t_left -= destination.Length;
    }

    public void FillSecret(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
