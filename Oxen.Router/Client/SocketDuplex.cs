using System.IO.Pipelines;
using System.Net.Sockets;

namespace Oxen.Router.Client;

/// <summary>
/// A connected TCP socket as a pair of pipes with a true half-close: completing <see cref="Output"/> sends everything and
/// then a FIN, while <see cref="Input"/> goes on. A flush ends when the kernel has taken the bytes: that is the back-pressure.
/// </summary>
internal sealed class SocketDuplex : IDuplexPipe, IDisposable
{
    private const int BufferBytes = 64 * 1024;

    private readonly Socket _socket;

    public SocketDuplex(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        _socket = socket;
        socket.NoDelay = true;
        // Zero-byte reads: an idle connection holds no buffer.
        Input = PipeReader.Create(new NetworkStream(socket, ownsSocket: false), new StreamPipeReaderOptions(bufferSize: BufferBytes, minimumReadSize: BufferBytes / 4, useZeroByteReads: true));
        Output = CreateOutput(socket);
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    /// <summary>Only the sending half of a socket whose receiving half belongs to somebody else.</summary>
    public static PipeWriter CreateOutput(Socket socket) => PipeWriter.Create(new SendingHalf(socket), new StreamPipeWriterOptions(minimumBufferSize: BufferBytes / 4));

    /// <summary>Resets the connection.</summary>
    public void Abort()
    {
        try
        {
            _socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Gone already.
        }

        _socket.Dispose();
    }

    public void Dispose() => _socket.Dispose();

    private sealed class SendingHalf(Socket socket) : Stream
    {
        private bool _ended;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                while (!buffer.IsEmpty)
                {
                    int sent = await socket.SendAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false);
                    buffer = buffer[sent..];
                }
            }
            catch (SocketException e)
            {
                throw new IOException(e.Message, e);
            }
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_ended)
            {
                _ended = true;
                try
                {
                    socket.Shutdown(SocketShutdown.Send);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    // Nobody is left to be told.
                }
            }

            base.Dispose(disposing);
        }
    }
}
