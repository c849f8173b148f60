namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Just enough DER to reach a certificate's public key: definite, shortest lengths below 64 kB; no exceptions.</summary>
internal ref struct DerReader(ReadOnlySpan<byte> bytes)
{
    public const byte Integer = 0x02;
    public const byte BitString = 0x03;
    public const byte Null = 0x05;
    public const byte ObjectId = 0x06;
    public const byte Sequence = 0x30;
    public const byte Context0 = 0xA0;

    private ReadOnlySpan<byte> _left = bytes;

    public readonly bool IsEmpty => _left.IsEmpty;

    public readonly bool NextIs(byte tag) => !_left.IsEmpty && _left[0] == tag;

    public bool TryRead(byte tag, out ReadOnlySpan<byte> content) => TryRead(tag, out content, out _);

    /// <summary>`whole` is the element with its tag and length.</summary>
    public bool TryRead(byte tag, out ReadOnlySpan<byte> content, out ReadOnlySpan<byte> whole)
    {
        content = whole = default;
        if (_left.Length < 2 || _left[0] != tag) return false;
        int header = 2;
        int length = _left[1];
        if (length == 0x81)
        {
            if (_left.Length < 3 || (length = _left[2]) < 0x80) return false;
            header = 3;
        }
        else if (length == 0x82)
        {
            if (_left.Length < 4 || (length = _left[2] << 8 | _left[3]) < 0x100) return false;
            header = 4;
        }
        else if (length >= 0x80)
        {
            return false;
        }

        if (_left.Length - header < length) return false;
        whole = _left[..(header + length)];
        content = whole[header..];
        _left = _left[whole.Length..];
        return true;
    }

    public bool Skip(byte tag) => TryRead(tag, out _, out _);
}
