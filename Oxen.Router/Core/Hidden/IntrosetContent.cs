using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Wire;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// What an introset tells those who may read it (docs/protocol/hidden-service.md#content). Integers are big-endian.
//
//    0    32   session key, X25519
//   32  1184   session key, ML-KEM-768
// 1216     8   id of the session key (OnionKeyPair.ComputeId)
// 1224    32   effort seed
// 1256     4   suggested effort
// 1260     1   flags: 1 the service takes IP packets; the others are zero
// 1261     1+  introductions, 1 to 8: router id 32, authentication key 32; no two with one key
//    .     1+  ports, at most 16: protocol 1 (6 TCP, 17 UDP), port 2; ascending, each once
//    .     1+  SRV, at most 8: name 1+n (n <= 63), priority 2, weight 2, port 2, target 1+n (n <= 255; empty: this service)
//    .     1+  TXT, at most 8: 1+n
//    .         zeros to the end

/// <summary>An introduction relay of a service, and the key that names the service there.</summary>
internal readonly record struct IntroductionPoint(RouterId Relay, RouterId AuthenticationKey)
{
    public const int Bytes = 2 * RouterId.Bytes;
}

/// <summary>A port that the service answers at.</summary>
/// <param name="Protocol">6 TCP, 17 UDP.</param>
internal readonly record struct ServicePort(byte Protocol, ushort Port);

/// <summary>A service announcement as DNS has it (RFC 2782).</summary>
/// <param name="Name">Such as `_xmpp._tcp`.</param>
/// <param name="Target">A `.loki` name; empty: this service.</param>
internal sealed record ServiceRecord(string Name, ushort Priority, ushort Weight, ushort Port, string Target);

/// <summary>The inside of an introset. Immutable.</summary>
internal sealed class IntrosetContent
{
    public const int MaxIntroductions = 8;
    public const int MaxPorts = 16;
    public const int MaxServiceRecords = 8;
    public const int MaxTexts = 8;
    public const int SeedBytes = 32;

    private const byte PacketsFlag = 1;
    private const int MaxNameBytes = 63;
    private const int MaxTextBytes = 255;

    public required byte[] SessionX { get; init; }

    public required byte[] SessionKem { get; init; }

    public ulong SessionKeyId { get; init; }

    /// <summary>What introductions do their work for (<see cref="IntroductionEffort"/>).</summary>
    public required byte[] EffortSeed { get; init; }

    /// <summary>0: an introduction needs none.</summary>
    public uint SuggestedEffort { get; init; }

    public required IReadOnlyList<IntroductionPoint> Introductions { get; init; }

    /// <summary>The service takes IP packets.</summary>
    public bool TakesPackets { get; init; }

    public IReadOnlyList<ServicePort> Ports { get; init; } = [];

    public IReadOnlyList<ServiceRecord> ServiceRecords { get; init; } = [];

    public IReadOnlyList<byte[]> Texts { get; init; } = [];

    /// <summary>Length without padding.</summary>
    public int EncodedBytes => 1265 + IntroductionPoint.Bytes * Introductions.Count + 3 * Ports.Count
        + ServiceRecords.Sum(r => 8 + r.Name.Length + r.Target.Length) + Texts.Sum(t => 1 + t.Length);

    /// <summary>Writes the content; the rest of `destination` becomes zeros.</summary>
    /// <exception cref="ArgumentException">It would not be read again.</exception>
    public void Write(Span<byte> destination)
    {
        destination.Clear();
        var writer = new WireWriter(destination);
        writer.Put(SessionX);
        writer.Put(SessionKem);
        writer.UInt64(SessionKeyId);
        writer.Put(EffortSeed);
        writer.UInt32(SuggestedEffort);
        writer.Byte(TakesPackets ? PacketsFlag : (byte)0);
        writer.Byte((byte)Introductions.Count);
        foreach (IntroductionPoint point in Introductions)
        {
            point.Relay.CopyTo(writer.Reserve(RouterId.Bytes));
            point.AuthenticationKey.CopyTo(writer.Reserve(RouterId.Bytes));
        }

        writer.Byte((byte)Ports.Count);
        foreach (ServicePort port in Ports)
        {
            writer.Byte(port.Protocol);
            writer.UInt16(port.Port);
        }

        writer.Byte((byte)ServiceRecords.Count);
        foreach (ServiceRecord record in ServiceRecords)
        {
            writer.Byte((byte)record.Name.Length);
            writer.Put(Encoding.ASCII.GetBytes(record.Name));
            writer.UInt16(record.Priority);
            writer.UInt16(record.Weight);
            writer.UInt16(record.Port);
            writer.Byte((byte)record.Target.Length);
            writer.Put(Encoding.ASCII.GetBytes(record.Target));
        }

        writer.Byte((byte)Texts.Count);
        foreach (byte[] text in Texts)
        {
            writer.Byte((byte)text.Length);
            writer.Put(text);
        }

        if (!TryRead(destination, out _)) throw new ArgumentException("this introset content breaks a rule of docs/protocol/hidden-service.md#content", nameof(destination));
    }

    /// <summary>Reads a padded content that fills `data`.</summary>
    public static bool TryRead(ReadOnlySpan<byte> data, out IntrosetContent? content)
    {
        content = null;
        var reader = new WireReader(data);
        byte[] x = reader.Take(X25519.PublicKeyBytes).ToArray();
        byte[] kem = reader.Take(MlKem768.PublicKeyBytes).ToArray();
        ulong keyId = reader.UInt64();
        byte[] seed = reader.Take(SeedBytes).ToArray();
        uint effort = reader.UInt32();
        byte flags = reader.Byte();
        if (reader.Failed || (flags & ~PacketsFlag) != 0 || keyId != OnionKeyPair.ComputeId(x, kem) || !OnionKeyPair.AreUsable(x, kem)) return false;

        int count = reader.Byte();
        if (count is 0 or > MaxIntroductions) return false;
        var points = new IntroductionPoint[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> relay = reader.Take(RouterId.Bytes), key = reader.Take(RouterId.Bytes);
            if (reader.Failed) return false;
            points[i] = new IntroductionPoint(new RouterId(relay), new RouterId(key));
            for (int j = 0; j < i; j++) if (points[j].AuthenticationKey == points[i].AuthenticationKey) return false;
        }

        count = reader.Byte();
        if (count > MaxPorts) return false;
        var ports = new ServicePort[count];
        for (int i = 0; i < count; i++)
        {
            ports[i] = new ServicePort(reader.Byte(), reader.UInt16());
            if (ports[i].Protocol is not (6 or 17) || ports[i].Port == 0) return false;
            if (i > 0 && (ports[i].Protocol, ports[i].Port).CompareTo((ports[i - 1].Protocol, ports[i - 1].Port)) <= 0) return false;
        }

        count = reader.Byte();
        if (count > MaxServiceRecords) return false;
        var records = new ServiceRecord[count];
        for (int i = 0; i < count; i++)
        {
            string? name = Label(ref reader, MaxNameBytes);
            ushort priority = reader.UInt16(), weight = reader.UInt16(), port = reader.UInt16();
            string? target = Label(ref reader, MaxTextBytes);
            if (string.IsNullOrEmpty(name) || target is null) return false;
            records[i] = new ServiceRecord(name, priority, weight, port, target);
        }

        count = reader.Byte();
        if (count > MaxTexts) return false;
        byte[][] texts = new byte[count][];
        for (int i = 0; i < count; i++) texts[i] = reader.Take(reader.Byte()).ToArray();

        // Nothing hides in the padding.
        if (reader.Failed || reader.Rest.ContainsAnyExcept((byte)0)) return false;
        content = new IntrosetContent
        {
            SessionX = x, SessionKem = kem, SessionKeyId = keyId, EffortSeed = seed, SuggestedEffort = effort,
            TakesPackets = flags == PacketsFlag, Introductions = points, Ports = ports, ServiceRecords = records, Texts = texts,
        };
        return true;
    }

    // Letters, digits, '-', '_' and '.', as DNS names of services have them.
    private static string? Label(ref WireReader reader, int maxBytes)
    {
        int length = reader.Byte();
        ReadOnlySpan<byte> bytes = reader.Take(length);
        if (reader.Failed || length > maxBytes) return null;
        foreach (byte b in bytes) if (b is not ((>= (byte)'a' and <= (byte)'z') or (>= (byte)'0' and <= (byte)'9') or (byte)'-' or (byte)'_' or (byte)'.')) return null;
        return Encoding.ASCII.GetString(bytes);
    }
}
