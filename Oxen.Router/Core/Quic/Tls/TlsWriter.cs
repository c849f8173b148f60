using System.Buffers.Binary;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Writes TLS presentation language: a vector is begun, filled, and ended, which writes its length in front.</summary>
internal sealed class TlsWriter
{
    private byte[] _buffer = new byte[2048];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public void U8(byte value) => Take(1)[0] = value;

    public void U16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Take(2), value);

    public void Bytes(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Take(bytes.Length));

    /// <summary>Begins a vector whose length takes `prefixBytes`; hand the result to <see cref="End"/>.</summary>
    public Vector Begin(int prefixBytes)
    {
        Take(prefixBytes).Clear();
        return new Vector(Length, prefixBytes);
    }

    public Vector BeginMessage(byte type)
    {
        U8(type);
        return Begin(3);
    }

    public Vector BeginExtension(ushort type)
    {
        U16(type);
        return Begin(2);
    }

    public void End(Vector vector)
    {
        int length = Length - vector.Start;
        for (int i = 1; i <= vector.PrefixBytes; i++, length >>= 8) _buffer[vector.Start - i] = (byte)length;
        if (length != 0) throw new ArgumentException("too long for its length field", nameof(vector));
    }

    public Span<byte> Take(int count)
    {
        if (Length + count > _buffer.Length) Array.Resize(ref _buffer, Math.Max(2 * _buffer.Length, Length + count));
        Length += count;
        return _buffer.AsSpan(Length - count, count);
    }

    internal readonly record struct Vector(int Start, int PrefixBytes);
}
