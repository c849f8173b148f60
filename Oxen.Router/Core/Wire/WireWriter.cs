using System.Buffers.Binary;

namespace Oxen.Router.Core.Wire;

/// <summary>Writes big-endian fields into a span that is long enough: a shorter one is our own mistake and throws.</summary>
internal ref struct WireWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;

    public int Written { get; private set; }

    public readonly ReadOnlySpan<byte> Bytes => _destination[..Written];

    public Span<byte> Reserve(int length)
    {
        Span<byte> part = _destination.Slice(Written, length);
        Written += length;
        return part;
    }

    public void Byte(byte value) => Reserve(1)[0] = value;

    public void UInt16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Reserve(2), value);

    public void UInt32(uint value) => BinaryPrimitives.WriteUInt32BigEndian(Reserve(4), value);

    public void UInt64(ulong value) => BinaryPrimitives.WriteUInt64BigEndian(Reserve(8), value);

    public void Put(ReadOnlySpan<byte> value) => value.CopyTo(Reserve(value.Length));
}
