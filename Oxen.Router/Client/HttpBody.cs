namespace Oxen.Router.Client;

/// <summary>
/// Finds where a request's body ends while its bytes pass by unchanged, so that the next request on the connection is
/// never sent to the wrong server. Content-Length counts; chunked follows RFC 9112 section 7.1 strictly.
/// </summary>
internal struct HttpBody
{
    private const int MaxLineBytes = 8 * 1024;

    private State _state;
    private long _left;
    private int _line, _digits;

    public HttpBody(HttpBodyKind kind, long length)
    {
        _left = length;
        _state = kind switch
        {
            HttpBodyKind.Chunked => State.Size,
            HttpBodyKind.Length when length > 0 => State.Counted,
            _ => State.Done,
        };
    }

    private enum State : byte
    {
        Done,
        Broken,
        Counted,
        Size,
        Extension,
        SizeLf,
        Data,
        DataCr,
        DataLf,
        TrailerStart,
        TrailerLine,
        TrailerLf,
        LastLf,
    }

    public readonly bool IsDone => _state == State.Done;

    public readonly bool IsBroken => _state == State.Broken;

    /// <summary>How many of these bytes belong to the body. Fewer than given: it is done, or broken.</summary>
    public int Take(ReadOnlySpan<byte> bytes)
    {
        int at = 0;
        while (at < bytes.Length && _state is not (State.Done or State.Broken))
        {
            if (_state is State.Counted or State.Data)
            {
                int n = (int)Math.Min(_left, bytes.Length - at);
                at += n;
                _left -= n;
                if (_left == 0) _state = _state == State.Counted ? State.Done : State.DataCr;
                continue;
            }

            _state = Step(bytes[at]);
            if (_state != State.Broken) at++;
        }

        return at;
    }

    private State Step(byte b)
    {
        switch (_state)
        {
            case State.Size:
                int digit = char.IsAsciiHexDigit((char)b) ? (b & 0xF) + (b > '9' ? 9 : 0) : -1;
                if (digit >= 0)
                {
                    if (++_digits > 15) return State.Broken;
                    _left = _left * 16 + digit;
                    return State.Size;
                }

                if (_digits == 0) return State.Broken;
                _line = 0;
                return b switch { (byte)'\r' => State.SizeLf, (byte)';' or (byte)' ' or (byte)'\t' => State.Extension, _ => State.Broken };
            case State.Extension:
                if (b == (byte)'\r') return State.SizeLf;
                return b == (byte)'\n' || ++_line > MaxLineBytes ? State.Broken : State.Extension;
            case State.SizeLf:
                _digits = 0;
                _line = 0;
                if (b != (byte)'\n') return State.Broken;
                return _left == 0 ? State.TrailerStart : State.Data;
            case State.DataCr: return b == (byte)'\r' ? State.DataLf : State.Broken;
            case State.DataLf: return b == (byte)'\n' ? State.Size : State.Broken;
            case State.TrailerStart: return b == (byte)'\r' ? State.LastLf : TrailerByte(b);
            case State.TrailerLine: return b == (byte)'\r' ? State.TrailerLf : TrailerByte(b);
            case State.TrailerLf: return b == (byte)'\n' ? State.TrailerStart : State.Broken;
            case State.LastLf: return b == (byte)'\n' ? State.Done : State.Broken;
            default: return State.Broken;
        }
    }

    // All trailer lines together share one bound.
    private State TrailerByte(byte b) => b == (byte)'\n' || ++_line > MaxLineBytes ? State.Broken : State.TrailerLine;
}
