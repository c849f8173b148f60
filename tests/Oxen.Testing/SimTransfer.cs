using Oxen.Router.Core;
using Oxen.Router.Core.Quic;

namespace Oxen.Testing;

/// <summary>Bytes from a simulated client to the exit's echo and back, each compared as it returns.</summary>
internal sealed class SimTransfer(QuicConnection quic, long stream, long bytes, Instant now)
{
    private static readonly byte[] Pattern = MakePattern();
    private readonly byte[] _input = new byte[32 * 1024];
    private long _written;
    private bool _finished;
    private Instant _lastProgress = now;

    public QuicConnection Quic { get; } = quic;

    public long Stream { get; } = stream;

    public Instant Started { get; } = now;

    public long Received { get; private set; }

    /// <summary>All bytes came back, each the one that was sent, and then the end.</summary>
    public bool Complete { get; private set; }

    public bool Lost { get; private set; }

    public bool Corrupt { get; private set; }

    public bool Over => Complete || Lost || Corrupt;

    public Instant Ended { get; private set; }

    /// <summary>The longest time without a byte coming back.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>Forgets the gaps so far; the next one counts from the last byte that came.</summary>
    public void ForgetGaps() => LongestGap = TimeSpan.Zero;

    /// <summary>Bytes that the program has to send so far; raise it, then call <see cref="OnWritable"/>, for one that sends at a pace.</summary>
    public long Offered { get; set; } = long.MaxValue;

    public void OnWritable()
    {
        if (_finished || Over) return;
        while (_written < bytes)
        {
            int at = (int)(_written % Pattern.Length);
            int want = (int)Math.Min(Pattern.Length - at, Math.Min(bytes, Offered) - _written);
            if (want <= 0) return;
            int taken = Quic.Write(Stream, Pattern.AsSpan(at, want));
            _written += taken;
            if (taken < want) return;
        }

        Quic.Finish(Stream);
        _finished = true;
    }

    public void OnReadable(Instant now)
    {
        while (!Over)
        {
            int read = Quic.Read(Stream, _input, out bool end);
            Check(_input.AsSpan(0, read));
            if (read > 0)
            {
                TimeSpan gap = now - _lastProgress;
                if (gap > LongestGap) LongestGap = gap;
                _lastProgress = now;
            }

            if (end)
            {
                Ended = now;
                Complete = Received == bytes && !Corrupt;
                Corrupt |= !Complete;
                return;
            }

            if (read == 0) return;
        }
    }

    public void OnLost() => Lost |= !Complete;

    public override string ToString() => $"{Received} of {bytes} bytes back, {_written} written, complete {Complete}, lost {Lost}, corrupt {Corrupt}, longest gap {LongestGap.TotalMilliseconds:F0} ms";

    private void Check(ReadOnlySpan<byte> came)
    {
        while (!came.IsEmpty)
        {
            int at = (int)(Received % Pattern.Length);
            int n = Math.Min(came.Length, Pattern.Length - at);
            if (!came[..n].SequenceEqual(Pattern.AsSpan(at, n))) Corrupt = true;
            Received += n;
            came = came[n..];
        }
    }

    // The length is a prime, so that a piece in the wrong place does not fit by chance.
    private static byte[] MakePattern()
    {
        byte[] pattern = new byte[65_521];
        new SeededEntropy(4711).FillPublic(pattern);
        return pattern;
    }
}

/// <summary>The other end of <see cref="SimTransfer"/>: sends back what comes, as far as the stream takes it.</summary>
internal sealed class SimEcho(QuicConnection quic, long stream)
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _from;
    private int _to;
    private bool _end;

    public bool Done { get; private set; }

    public void Move()
    {
        while (!Done)
        {
            if (_from < _to)
            {
                int taken = quic.Write(stream, _buffer.AsSpan(_from, _to - _from));
                _from += taken;
                if (_from < _to) return;
            }

            if (_end)
            {
                quic.Finish(stream);
                Done = true;
                return;
            }

            _from = 0;
            _to = quic.Read(stream, _buffer, out _end);
            if (_to == 0 && !_end) return;
        }
    }
}
