using System.Collections.Immutable;
using System.Globalization;

namespace Oxen.Swarm;

// Swarms and accounts lie on one ring of 2^64 positions. An account belongs to the swarm whose id is nearest, in either
// direction; of two that are equally near it is the left one, reached by counting down. docs/protocol/swarm.md#ring
//
//        left id            account       right id
//   ... ----+------------------+-------------+---- ...  2^64 - 1, then 0
//           |<--- position ---->|<- id -     >|
//                 - left id        position              differences modulo 2^64

/// <summary>The swarms of one moment, and which of them an account belongs to. Immutable.</summary>
public sealed class SwarmRing
{
    /// <summary>Marks a node without a swarm; no swarm has this id.</summary>
    public const ulong Unassigned = ulong.MaxValue;

    /// <summary>The greatest id that a swarm may have.</summary>
    public const ulong MaxId = ulong.MaxValue - 1;

    private readonly ImmutableArray<ulong> _ids;

    /// <summary>A ring of these swarms, in any order. Repeats are one swarm; <see cref="Unassigned"/> is none.</summary>
    public SwarmRing(IEnumerable<ulong> ids) => _ids = [.. ids.Where(id => id != Unassigned).Distinct().Order()];

    /// <summary>The ids, ascending.</summary>
    public ReadOnlySpan<ulong> Ids => _ids.AsSpan();

    /// <summary>The id as the storage API writes it: hexadecimal, small, without leading zeros; sixteen f for no swarm.</summary>
    public static string ToHex(ulong swarm) => swarm.ToString("x", CultureInfo.InvariantCulture);

    /// <summary>The swarm that an account belongs to. False if there is none at all; `swarm` is then <see cref="Unassigned"/>.</summary>
    public bool TryFind(AccountId account, out ulong swarm) => TryFind(account.Position, out swarm);

    /// <summary>The swarm nearest to a position.</summary>
    public bool TryFind(ulong position, out ulong swarm)
    {
        swarm = Unassigned;
        if (_ids.IsEmpty) return false;
        int at = _ids.AsSpan().BinarySearch(position);
        if (at < 0) at = ~at;
        ulong right = _ids[at == _ids.Length ? 0 : at];
        ulong left = _ids[at == 0 ? ^1 : at - 1];
        swarm = unchecked(right - position) < unchecked(position - left) ? right : left;
        return true;
    }
}
