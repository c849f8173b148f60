using System.Buffers.Binary;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// What names one direction of a path on one link: an array slot of the receiving relay and its generation
/// (docs/protocol/link.md#handles). Slot modulo the receiver's number of shards is the shard that the direction belongs to.
/// The two handles of a path share nothing.
/// </summary>
internal readonly record struct PathHandle(uint Slot, uint Generation)
{
    public const int Bytes = 8;

    /// <summary>No slot has generation 0.</summary>
    public static readonly PathHandle None;

    public bool IsNone => Generation == 0;

    public int ShardOf(int shardCount) => (int)(Slot % (uint)shardCount);

    public static PathHandle Read(ReadOnlySpan<byte> source) => FromWire(BinaryPrimitives.ReadUInt64BigEndian(source));

    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt64BigEndian(destination, ToWire());

    /// <summary>The eight bytes as one number, slot first.</summary>
    public ulong ToWire() => ((ulong)Slot << 32) | Generation;

    public static PathHandle FromWire(ulong value) => new((uint)(value >> 32), (uint)value);
}
