using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Oxen.Router.Core.Onion;

//  0         1       2           3      4          5        8               16
//  +---------+-------+-----------+------+----------+--------+---------------+
//  | version | class | direction | kind | position | zero 3 | epoch 8       |    docs/protocol/onion.md#tweak
//  +---------+-------+-----------+------+----------+--------+---------------+    epoch big-endian

/// <summary>The tweak of one layer: everything public that a layer is bound to. One block, hashed before the right half.</summary>
internal readonly struct LayerTweak : IEquatable<LayerTweak>
{
    public const int Bytes = 16;
    public const byte Version = 1;

    private const byte KindData = 0, KindBuildRecord = 1, KindBuildReply = 2;

    private readonly Vector128<byte> _bytes;

    private LayerTweak(byte sizeClass, byte direction, byte kind, byte position, ulong epoch)
    {
        ulong first = Version | (ulong)sizeClass << 8 | (ulong)direction << 16 | (ulong)kind << 24 | (ulong)position << 32;
        _bytes = Vector128.Create(first, BinaryPrimitives.ReverseEndianness(epoch)).AsByte();
    }

    /// <summary>A data packet of a path.</summary>
    public static LayerTweak ForData(SizeClass sizeClass, PathDirection direction, ulong epoch) =>
        new((byte)sizeClass, (byte)direction, KindData, 0, epoch);

    /// <summary>A record of a path build at `position` 1 to 7 as it leaves the relay; requests go upstream, replies downstream.</summary>
    public static LayerTweak ForBuildRecord(PathDirection direction, int position)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(position, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, 7);
        return new(0, (byte)direction, direction == PathDirection.Upstream ? KindBuildRecord : KindBuildReply, (byte)position, 0);
    }

    internal Vector128<byte> Vector => _bytes;

    public void CopyTo(Span<byte> destination) => _bytes.CopyTo(destination);

    public bool Equals(LayerTweak other) => _bytes == other._bytes;

    public override bool Equals(object? obj) => obj is LayerTweak other && Equals(other);

    public override int GetHashCode() => _bytes.GetHashCode();

    public static bool operator ==(LayerTweak left, LayerTweak right) => left.Equals(right);

    public static bool operator !=(LayerTweak left, LayerTweak right) => !left.Equals(right);
}
