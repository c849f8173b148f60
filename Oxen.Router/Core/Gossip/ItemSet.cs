using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>What two nodes compare: contacts (by router and time) or the registry (by router and operator).</summary>
/// <param name="Id">The key; a set has each once.</param>
/// <param name="Digest">Equal exactly for equal items.</param>
/// <param name="Published">A contact's time, unix seconds; 0 for a registry entry.</param>
/// <param name="Operator">A registry entry's; empty for a contact.</param>
internal readonly record struct SetItem(RouterId Id, UInt128 Digest, long Published, string Operator)
{
    public static SetItem Of(RouterContact contact) => new(contact.Id, contact.Digest, contact.PublishedUnixSeconds, "");

    public static SetItem Of(RosterEntry entry)
    {
        Span<byte> input = stackalloc byte[RouterId.Bytes + RelayRoster.MaxOperatorBytes];
        entry.Id.CopyTo(input);
        int length = RouterId.Bytes + System.Text.Encoding.ASCII.GetBytes(entry.Operator, input[RouterId.Bytes..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input[..length], hash);
        return new SetItem(entry.Id, BinaryPrimitives.ReadUInt128BigEndian(hash), 0, entry.Operator);
    }
}

/// <summary>Items in the order of their ids. Immutable: made anew after a change.</summary>
internal sealed class ItemSet
{
    private readonly SetItem[] _items;

    public ItemSet(IEnumerable<SetItem> items)
    {
        _items = [.. items];
        Array.Sort(_items, static (a, b) => a.Id.CompareTo(b.Id));
    }

    public static ItemSet Empty { get; } = new([]);

    public int Count => _items.Length;

    public SetItem this[int index] => _items[index];

    public ReadOnlySpan<SetItem> Range(int begin, int end) => _items.AsSpan(begin, end - begin);

    /// <summary>Index of the first item that is not below `id`.</summary>
    public int LowerBound(RouterId id)
    {
        int low = 0, high = _items.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_items[middle].Id.CompareTo(id) < 0) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    /// <summary>
    /// Hash over the digests of a range in their order: nobody finds two different ranges with one fingerprint, as one could with
    /// sums or exclusive-ors of hashes that an attacker may choose.
    /// </summary>
    public UInt128 Fingerprint(int begin, int end)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> chunk = stackalloc byte[64 * 16];
        int filled = 0;
        for (int i = begin; i < end; i++)
        {
            BinaryPrimitives.WriteUInt128BigEndian(chunk[filled..], _items[i].Digest);
            filled += 16;
            if (filled < chunk.Length) continue;
            hash.AppendData(chunk);
            filled = 0;
        }

        hash.AppendData(chunk[..filled]);
        Span<byte> result = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(result);
        return BinaryPrimitives.ReadUInt128BigEndian(result);
    }
}
