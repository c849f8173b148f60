using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Hidden;

// Where an introset is kept (docs/protocol/hidden-service.md#places). Relays stand on a ring of 256-bit numbers:
//
//   relay    SHA-256("oxen introset relay v1" || router id 32 || period 8 || randomness 32)
//   replica  SHA-256("oxen introset place v1" || blinded key 32 || replica 1 || period 8 || randomness 32)
//
// A replica is kept by the relays that follow its number, round the ring; one that an earlier replica has is passed over.

/// <summary>Says which relays keep the introset of a blinded key.</summary>
internal static class IntrosetPlaces
{
    // Specification: all of a network must look in the same places.
    public const int Replicas = 2;
    public const int Spread = 4;

    /// <summary>The keepers, replica by replica, the nearest first: <see cref="Replicas"/> times <see cref="Spread"/>, or all relays where there are fewer.</summary>
    public static RouterId[] Keepers(ReadOnlySpan<byte> blinded, ulong period, ReadOnlySpan<byte> randomness, NodeDirectory nodes)
    {
        var ring = new List<(byte[] Place, RouterId Id)>(nodes.Relays.Count);
        Span<byte> id = stackalloc byte[RouterId.Bytes];
        foreach (RouterContact relay in nodes.Relays)
        {
            relay.Id.CopyTo(id);
            ring.Add((Place("oxen introset relay v1"u8, id, [], period, randomness), relay.Id));
        }

        ring.Sort(static (a, b) => a.Place.AsSpan().SequenceCompareTo(b.Place));
        var keepers = new List<RouterId>(Replicas * Spread);
        for (byte replica = 1; replica <= Replicas; replica++)
        {
            byte[] place = Place("oxen introset place v1"u8, blinded, [replica], period, randomness);
            int at = ring.FindIndex(r => r.Place.AsSpan().SequenceCompareTo(place) >= 0);
            if (at < 0) at = 0;
            int wanted = Math.Min(keepers.Count + Spread, ring.Count);
            for (int i = 0; i < ring.Count && keepers.Count < wanted; i++)
            {
                RouterId relay = ring[(at + i) % ring.Count].Id;
                if (!keepers.Contains(relay)) keepers.Add(relay);
            }
        }

        return [.. keepers];
    }

    private static byte[] Place(ReadOnlySpan<byte> label, ReadOnlySpan<byte> key, ReadOnlySpan<byte> replica, ulong period, ReadOnlySpan<byte> randomness)
    {
        Span<byte> input = stackalloc byte[label.Length + key.Length + replica.Length + 8 + randomness.Length];
        var writer = new WireWriter(input);
        writer.Put(label);
        writer.Put(key);
        writer.Put(replica);
        writer.UInt64(period);
        writer.Put(randomness);
        return SHA256.HashData(input);
    }
}
