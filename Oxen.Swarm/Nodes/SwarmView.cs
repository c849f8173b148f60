using System.Buffers.Binary;
using System.Collections.Frozen;

namespace Oxen.Swarm.Nodes;

/// <summary>The roster as one node sees it: its own swarm, the others, the ring. Immutable.</summary>
internal sealed class SwarmView
{
    private readonly FrozenDictionary<ulong, SwarmMember[]> _swarms;
    private readonly FrozenDictionary<string, SwarmMember> _byId;

    public SwarmView(SwarmRoster roster, ReadOnlySpan<byte> self)
    {
        Roster = roster;
        _byId = roster.Members.GroupBy(m => m.Hex).ToFrozenDictionary(g => g.Key, g => g.Last());
        SelfHex = Convert.ToHexStringLower(self);
        Self = _byId.GetValueOrDefault(SelfHex);
        _swarms = _byId.Values.Where(m => m.Active && m.SwarmId != SwarmRing.Unassigned)
            .GroupBy(m => m.SwarmId)
            .ToFrozenDictionary(g => g.Key, g => g.OrderBy(m => m.Hex, StringComparer.Ordinal).ToArray());
        Ring = new SwarmRing(_swarms.Keys);
        SwarmId = Self is { Active: true } me ? me.SwarmId : SwarmRing.Unassigned;
        Peers = [.. MembersOf(SwarmId).Where(m => m.Hex != SelfHex)];
    }

    public SwarmRoster Roster { get; }

    public SwarmRing Ring { get; }

    public SwarmMember? Self { get; }

    public string SelfHex { get; }

    /// <summary>Our swarm; <see cref="SwarmRing.Unassigned"/> if we are in none.</summary>
    public ulong SwarmId { get; }

    /// <summary>The other nodes of our swarm, by id.</summary>
    public SwarmMember[] Peers { get; }

    public int Size => Peers.Length + (SwarmId == SwarmRing.Unassigned ? 0 : 1);

    /// <summary>More than half.</summary>
    public int Quorum => (Size / 2) + 1;

    public SwarmMember[] MembersOf(ulong swarm) => swarm == SwarmRing.Unassigned ? [] : _swarms.GetValueOrDefault(swarm) ?? [];

    public SwarmMember? Find(ReadOnlySpan<byte> id) => _byId.GetValueOrDefault(Convert.ToHexStringLower(id));

    /// <summary>Whether this account's messages belong here.</summary>
    public bool Owns(AccountId account) => SwarmId != SwarmRing.Unassigned && Ring.TryFind(account, out ulong swarm) && swarm == SwarmId;

    /// <summary>The name of a legacy key: z-base-32 and `.snode`.</summary>
    public static string Address(ReadOnlySpan<byte> key)
    {
        const string alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";
        Span<char> text = stackalloc char[52];
        for (int i = 0; i < text.Length; i++)
        {
            int bit = i * 5;
            uint word = 0;
            for (int b = 0; b < 3; b++) word = (word << 8) | ((bit / 8) + b < key.Length ? key[(bit / 8) + b] : 0u);
            text[i] = alphabet[(int)(word >> (19 - (bit % 8))) & 31];
        }

        return $"{text}.snode";
    }

    /// <summary>What `active_nodes_bin` gives: 51 bytes for each node that has an IPv4 address and a swarm.</summary>
    public byte[] ToBinary()
    {
        using var stream = new MemoryStream();
        Span<byte> record = stackalloc byte[51];
        foreach (SwarmMember member in _swarms.OrderBy(s => s.Key).SelectMany(s => s.Value))
        {
            if (member.Address is not { AddressFamily: System.Net.Sockets.AddressFamily.InterNetwork } address) continue;
            member.Ed25519.Span.CopyTo(record);
            BinaryPrimitives.WriteUInt64BigEndian(record[32..], member.SwarmId);
            address.TryWriteBytes(record[40..], out _);
            BinaryPrimitives.WriteUInt16BigEndian(record[44..], (ushort)member.HttpsPort);
            BinaryPrimitives.WriteUInt16BigEndian(record[46..], (ushort)member.QuicPort);
            record[48] = (byte)member.Version.Major;
            record[49] = (byte)member.Version.Minor;
            record[50] = (byte)Math.Max(0, member.Version.Build);
            stream.Write(record);
        }

        return stream.ToArray();
    }
}
