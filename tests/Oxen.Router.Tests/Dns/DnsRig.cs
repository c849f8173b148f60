using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using ARSoft.Tools.Net.Dns;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Dns;
using Oxen.Router.Handlers;

namespace Oxen.Router.Tests.Dns;

/// <summary>A resolver with tables behind it: names, what services announce, and an outside that writes down every question.</summary>
internal sealed class DnsRig
{
    public DnsRig(AddressMapOptions? map = null, OnionZoneOptions? zones = null, DnsOptions? options = null, bool forwards = true, bool withNames = true)
    {
        Map = new AddressMap(map ?? new AddressMapOptions(), Time);
        Zones = new OnionZones(Map, withNames ? Names : null, Services, zones ?? new OnionZoneOptions(), Time, Counters);
        Outside = new RecordingUpstream(Map);
        Resolver = new DnsResolver(Zones, forwards ? Outside : null, options ?? new DnsOptions(), Time, Counters);
    }

    public FakeTimeProvider Time { get; } = new();

    public DnsCounters Counters { get; } = new();

    public NameTable Names { get; } = new();

    public ServiceTable Services { get; } = new();

    public AddressMap Map { get; }

    public OnionZones Zones { get; }

    public RecordingUpstream Outside { get; }

    public DnsResolver Resolver { get; }

    public static OnionAddress Service(int seed, OnionKind kind = OnionKind.Service)
    {
        byte[] key = new byte[32];
        for (int i = 0; i < key.Length; i++) key[i] = (byte)(seed * 31 + i * 7);
        return new OnionAddress(kind, key);
    }

    /// <summary>Asks and reads the answer with the library, which is not what wrote the frame.</summary>
    public async Task<DnsMessage> AskAsync(string name, RecordType type, DnsTransport transport = DnsTransport.Udp)
        => DnsMessage.Parse((await AskBytesAsync(Question(name, (ushort)type), transport))!);

    public async Task<byte[]?> AskBytesAsync(byte[] question, DnsTransport transport = DnsTransport.Udp)
        => await Resolver.AnswerAsync(question, transport, CancellationToken.None);

    /// <param name="udpBytes">0: no EDNS.</param>
    public static byte[] Question(string name, ushort type, ushort id = 0x1234, ushort cls = 1, ushort flags = 0x0100, ushort udpBytes = 1232, byte version = 0, bool dnssec = false, byte[]? options = null)
    {
        byte[] wire = DnsName.Parse(name).Wire.ToArray();
        var bytes = new List<byte>();
        void Word(int value)
        {
            bytes.Add((byte)(value >> 8));
            bytes.Add((byte)value);
        }

        foreach (int word in new[] { id, flags, 1, 0, 0, udpBytes > 0 ? 1 : 0 }) Word(word);
        bytes.AddRange(wire);
        Word(type);
        Word(cls);
        if (udpBytes == 0) return [.. bytes];
        bytes.Add(0);
        Word(41);
        Word(udpBytes);
        bytes.Add(0);
        bytes.Add(version);
        Word(dnssec ? 0x8000 : 0);
        Word(options?.Length ?? 0);
        bytes.AddRange(options ?? []);
        return [.. bytes];
    }
}

/// <summary>Names of a table; each question is written down.</summary>
internal sealed class NameTable : INameSource
{
    private readonly Dictionary<string, NameAnswer> _answers = [];

    public ConcurrentQueue<string> Asked { get; } = new();

    public void Add(string name, OnionAddress service, TimeSpan? lifetime = null) => _answers[name] = new NameAnswer(NameOutcome.Found, service.Key(), lifetime ?? TimeSpan.FromMinutes(2));

    public void Break(string name, string reason) => _answers[name] = new NameAnswer(NameOutcome.Unavailable, default, TimeSpan.Zero, reason);

    public ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        Asked.Enqueue(name);
        return new(_answers.GetValueOrDefault(name) ?? new NameAnswer(NameOutcome.NotFound, default, TimeSpan.FromSeconds(30)));
    }
}

internal sealed class ServiceTable : IServiceRecords
{
    public Dictionary<OnionAddress, ServiceRecords> Records { get; } = [];

    public ValueTask<ServiceRecords?> FindAsync(OnionAddress service, CancellationToken cancel) => new(Records.GetValueOrDefault(service));
}

/// <summary>The outside: answers every question as it is told, by default with 192.0.2.1 or "no such data", and keeps a list of what reached it.</summary>
internal sealed class RecordingUpstream(AddressMap map) : IDnsUpstream
{
    public ConcurrentQueue<DnsQuery> Asked { get; } = new();

    public Func<DnsQuery, ushort, byte[]>? Answer { get; set; }

    public TaskCompletionSource? Gate { get; set; }

    public UpstreamResult? Failure { get; set; }

    public DnsTtlBounds Bounds { get; set; } = new();

    public async ValueTask<UpstreamResult> AskAsync(DnsQuery query, CancellationToken cancel)
    {
        Asked.Enqueue(query);
        if (Gate is not null) await Gate.Task.WaitAsync(cancel);
        if (Failure is { } failure) return failure;
        const ushort Id = 77;
        byte[] message = (Answer ?? Default)(query, Id);
        return ForwardedAnswer.TryTake(message, query, Id, Bounds, map, out ForwardedAnswer? answer, out DnsCount why)
            ? UpstreamResult.Of(answer)
            : UpstreamResult.Failed(why, "as told");
    }

    public static byte[] Default(DnsQuery query, ushort id) => new AnswerBytes(query.Name.Wire, query.Type, id)
        .Record(0, [0xC0, 12], 1, 300, [192, 0, 2, 1])
        .ToArray();
}

/// <summary>Answers as other servers write them, byte by byte: nothing of the product's own writer.</summary>
internal sealed class AnswerBytes
{
    private readonly List<byte> _bytes = [];
    private readonly int[] _counts = new int[3];

    public AnswerBytes(ReadOnlySpan<byte> name, ushort type, ushort id, ushort flags = 0x8180)
    {
        Word(id);
        Word(flags);
        Word(1);
        for (int i = 0; i < 3; i++) Word(0);
        _bytes.AddRange(name);
        Word(type);
        Word(1);
    }

    public AnswerBytes(string name, ushort type, ushort id, ushort flags = 0x8180)
        : this(DnsName.Parse(name).Wire, type, id, flags)
    {
    }

    /// <param name="section">0 answer, 1 authority, 2 additional.</param>
    public AnswerBytes Record(int section, byte[] owner, ushort type, uint ttl, byte[] data, ushort cls = 1)
    {
        _counts[section]++;
        _bytes.AddRange(owner);
        Word(type);
        Word(cls);
        Word((int)(ttl >> 16));
        Word((int)(ttl & 0xFFFF));
        Word(data.Length);
        _bytes.AddRange(data);
        return this;
    }

    /// <summary>A start of authority in the authority section, with names of the root.</summary>
    public AnswerBytes Start(uint ttl, uint minimum)
    {
        byte[] data = new byte[22];
        BinaryPrimitives.WriteUInt32BigEndian(data.AsSpan(18), minimum);
        return Record(1, [0], 6, ttl, data);
    }

    public AnswerBytes Options(ushort udpBytes = 1232, byte extended = 0) => Record(2, [0], 41, (uint)extended << 24, [], udpBytes);

    public byte[] ToArray()
    {
        byte[] bytes = [.. _bytes];
        for (int i = 0; i < 3; i++) BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(6 + 2 * i), (ushort)_counts[i]);
        return bytes;
    }

    private void Word(int value)
    {
        _bytes.Add((byte)(value >> 8));
        _bytes.Add((byte)value);
    }
}
