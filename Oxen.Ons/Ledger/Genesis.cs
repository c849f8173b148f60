using System.Collections.Immutable;
using System.Text;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

// The beginning of a network, block 0:
//
//   "OXLG" | version 1 (1) | name: length, ASCII | unix milliseconds 8 | rules | committee
//          | allocations: count, (account 32, amount varint) ascending by account
//
// Its hash is the network's id, which every signature covers.

/// <summary>What a network begins with: its name, rules, money and first committee.</summary>
internal sealed class Genesis
{
    public const int MaxBytes = 1 << 20;
    private const int MaxAllocations = 16_384;
    private const int MaxNameBytes = 32;

    private Genesis(string name, ulong unixMilliseconds, LedgerRules rules, Committee committee, ImmutableSortedDictionary<Bytes32, ulong> allocations)
    {
        (Name, UnixMilliseconds, Rules, Committee, Allocations) = (name, unixMilliseconds, rules, committee, allocations);
        var writer = new LedgerWriter(1024);
        writer.Bytes("OXLG"u8).U8(1).Blob(Encoding.ASCII.GetBytes(name)).U64(unixMilliseconds);
        rules.Write(writer);
        committee.Write(writer);
        writer.Varint((ulong)allocations.Count);
        foreach ((Bytes32 account, ulong amount) in allocations) writer.Bytes(account).Varint(amount);
        Encoded = writer.ToArray();
        Network = LedgerHash.Of("oxen-ledger-network-1"u8, Encoded);
    }

    public string Name { get; }

    public ulong UnixMilliseconds { get; }

    public LedgerRules Rules { get; }

    public Committee Committee { get; }

    public ImmutableSortedDictionary<Bytes32, ulong> Allocations { get; }

    public byte[] Encoded { get; }

    /// <summary>The network's id.</summary>
    public Bytes32 Network { get; }

    public static bool IsName(string name) => name.Length is > 0 and <= MaxNameBytes && name.All(c => c is >= '!' and <= '~');

    /// <exception cref="ArgumentException">A name that is none, or more money than fits.</exception>
    public static Genesis Create(string name, ulong unixMilliseconds, LedgerRules rules, Committee committee, IEnumerable<KeyValuePair<Bytes32, ulong>> allocations)
    {
        if (!IsName(name)) throw new ArgumentException("a network's name has 1 to 32 visible ASCII characters", nameof(name));
        var sorted = allocations.ToImmutableSortedDictionary();
        if (sorted.Count > MaxAllocations || Sum(sorted) > MaxIssued) throw new ArgumentException("too many allocations, or too much money", nameof(allocations));
        return new Genesis(name, unixMilliseconds, rules, committee, sorted);
    }

    /// <summary>Room for rewards is left: 2^63 atomic units are 9.2 milliards of OXEN.</summary>
    public const ulong MaxIssued = 1UL << 62;

    public static Genesis? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes) return null;
        var reader = new LedgerReader(bytes);
        if (!reader.Bytes(4).SequenceEqual("OXLG"u8) || reader.U8() != 1) return null;
        string name = Encoding.ASCII.GetString(reader.Blob(MaxNameBytes));
        ulong time = reader.U64();
        LedgerRules? rules = reader.Failed || !IsName(name) ? null : LedgerRules.Read(ref reader);
        Committee? committee = rules is null ? null : Committee.Read(ref reader);
        if (committee is null) return null;
        int count = reader.Count(MaxAllocations);
        ImmutableSortedDictionary<Bytes32, ulong>.Builder allocations = ImmutableSortedDictionary.CreateBuilder<Bytes32, ulong>();
        for (int i = 0; i < count; i++)
        {
            Bytes32 account = reader.Bytes32();
            ulong amount = reader.Varint();
            if (reader.Failed || !allocations.TryAdd(account, amount)) return null;
        }

        if (!reader.Done || Sum(allocations) > MaxIssued) return null;
        var genesis = new Genesis(name, time, rules!, committee, allocations.ToImmutable());
        return genesis.Encoded.AsSpan().SequenceEqual(bytes) ? genesis : null;
    }

    private static UInt128 Sum(IEnumerable<KeyValuePair<Bytes32, ulong>> allocations) => allocations.Aggregate(UInt128.Zero, (sum, a) => sum + a.Value);
}
