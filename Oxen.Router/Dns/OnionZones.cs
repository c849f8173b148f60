using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using ARSoft.Tools.Net;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Handlers;

namespace Oxen.Router.Dns;

internal sealed record OnionZoneOptions
{
    /// <summary>
    /// The service that this router runs itself; default: none. Its name stands for <see cref="OwnIPv4"/> and <see cref="OwnIPv6"/>; if
    /// both are null, for a mapped address like any other's.
    /// </summary>
    public OnionAddress OwnService { get; init; }

    /// <summary>Where the own service is reached on this machine; null: not by this family.</summary>
    public IPAddress? OwnIPv4 { get; init; } = IPAddress.Loopback;

    public IPAddress? OwnIPv6 { get; init; } = IPAddress.IPv6Loopback;

    /// <summary>Of addresses, and of what a service says of itself. At most the map's lifetime.</summary>
    public TimeSpan AddressTtl { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Bounds of what a source of names says about the lifetime of a "yes" …</summary>
    public TimeSpan MinNameTtl { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan MaxNameTtl { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>… and of a "no".</summary>
    public TimeSpan MaxNegativeTtl { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How many names are asked for, longest first, when a name has more labels.</summary>
    public int MaxNameLabels { get; init; } = 4;

    public TimeSpan ResolveTime { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>
/// The zones `.loki` and `.snode`, and the names of the mapped addresses. Nothing of them is ever asked outside
/// (docs/dns.md#names).
/// </summary>
internal sealed class OnionZones
{
    // What a stranger's service may make us write.
    private const int MaxPorts = 16, MaxTexts = 8, MaxTextBytes = 255;

    private static readonly SearchValues<byte> HostLetters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-"u8);
    private static readonly DnsName Loki = DnsName.Parse("loki");
    private static readonly DnsName Snode = DnsName.Parse("snode");
    private static readonly DnsName InAddr = DnsName.Parse("in-addr.arpa");
    private static readonly DnsName Ip6 = DnsName.Parse("ip6.arpa");

    private readonly AddressMap _map;
    private readonly INameSource? _names;
    private readonly IServiceRecords? _services;
    private readonly OnionZoneOptions _options;
    private readonly TimeProvider _time;
    private readonly DnsCounters _counters;

    public OnionZones(AddressMap map, INameSource? names, IServiceRecords? services, OnionZoneOptions options, TimeProvider time, DnsCounters counters)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentNullException.ThrowIfNull(counters);
        if (options.AddressTtl > map.Lifetime) throw new ArgumentException("an answer must not live longer than its address stands for the service", nameof(options));
        _map = map;
        _names = names;
        _services = services;
        _options = options;
        _time = time;
        _counters = counters;
    }

    private int AddressSeconds => (int)_options.AddressTtl.TotalSeconds;

    private int NegativeSeconds => (int)_options.MaxNegativeTtl.TotalSeconds;

    /// <summary>Whether a name is ours, under any spelling: then it never leaves.</summary>
    public bool Holds(DnsName name) => name.IsWithin(Loki) || name.IsWithin(Snode) || (TryReverse(name, out IPAddress? address) && _map.Covers(Core.UdpAddress.From(new IPEndPoint(address!, 0))));

    /// <summary>The answer to a name that <see cref="Holds"/>.</summary>
    public ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(query);
        DnsName name = query.Name;
        bool loki = name.IsWithin(Loki);
        if (!loki && !name.IsWithin(Snode)) return new(AnswerReverse(query));

        DnsName zone = loki ? Loki : Snode;
        int labels = name.Labels - 1;
        if (labels == 0) return new(query.Type == DnsNumbers.Soa ? Found([LocalZone.Start(zone, AddressSeconds)]) : LocalZone.NoData(zone, AddressSeconds));
        for (int i = 0; i < labels; i++)
        {
            // An underscore leads the labels of RFC 2782 and stands nowhere else.
            ReadOnlySpan<byte> label = name.Label(i);
            if (label[label[0] == (byte)'_' ? 1.. : ..].ContainsAnyExcept(HostLetters)) return new(LocalZone.NoName(zone, NegativeSeconds));
        }

        ReadOnlySpan<byte> last = name.Label(labels - 1);
        if (loki && last.SequenceEqual("localhost"u8)) return AnswerOwnAsync(query, cancel);
        if (OnionAddress.TryParseKey(last, loki ? OnionKind.Service : OnionKind.Router, out OnionAddress service))
        {
            return AnswerServiceAsync(query, service, name, [], cancel);
        }

        return loki && _names is not null ? AnswerNameAsync(query, _names, cancel) : new(LocalZone.NoName(zone, NegativeSeconds));
    }

    private ValueTask<DnsReply> AnswerOwnAsync(DnsQuery query, CancellationToken cancel)
    {
        DnsName name = query.Name;
        if (!_options.OwnService.IsNone) return AnswerAliasAsync(query, _options.OwnService, name.Labels - 2, AddressSeconds, cancel);
        return new(Addresses(query.Type, DnsComposer.ToLibrary(name), _options.OwnIPv4, _options.OwnIPv6) is { } record
            ? Found([record])
            : LocalZone.NoData(Loki, AddressSeconds));
    }

    // The longest name that the source knows; what stands before it goes along to the service: www.hello.loki is www.<key>.loki.
    private async ValueTask<DnsReply> AnswerNameAsync(DnsQuery query, INameSource names, CancellationToken cancel)
    {
        DnsName name = query.Name;
        int end = name.Labels - 1, first = Underscores(name);
        int negative = NegativeSeconds;
        for (int from = Math.Max(first, end - _options.MaxNameLabels); from < end; from++)
        {
            NameAnswer answer = await AskAsync(names, Text(name, from, end), cancel).ConfigureAwait(false);
            if (answer.Outcome == NameOutcome.NotFound)
            {
                negative = Math.Min(negative, Seconds(answer.Lifetime, _options.MinNameTtl, _options.MaxNegativeTtl));
                continue;
            }

            if (answer.Outcome != NameOutcome.Found || answer.Address.Length != OnionAddress.KeyBytes)
            {
                _counters.Add(DnsCount.NameUnavailable);
                return DnsReply.Failure(DnsNumbers.ServFail, ExtendedError.NoReachableAuthority, answer.Reason.Length == 0 ? "the source of names could not tell" : answer.Reason);
            }

            var service = new OnionAddress(OnionKind.Service, answer.Address.Span);
            int seconds = Seconds(answer.Lifetime, _options.MinNameTtl, _options.MaxNameTtl);
            return await AnswerAliasAsync(query, service, from, seconds, cancel).ConfigureAwait(false);
        }

        return LocalZone.NoName(Loki, negative);
    }

    private async ValueTask<NameAnswer> AskAsync(INameSource names, string name, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(_options.ResolveTime, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            return await names.ResolveAsync(name, linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new NameAnswer(NameOutcome.Unavailable, default, TimeSpan.Zero, "the source of names did not answer in time");
        }
    }

    // The name that was asked is another one's alias: a CNAME leads the answer, whatever the type.
    private ValueTask<DnsReply> AnswerAliasAsync(DnsQuery query, OnionAddress service, int labelsBelow, int seconds, CancellationToken cancel)
    {
        // RFC 6672 section 2.2 has a code for "the other name would be too long"; programs understand this one.
        if (query.Name.Before(DnsName.Parse(service.ToString()), labelsBelow) is not { } owner) return new(LocalZone.NoName(Loki, seconds));
        var alias = new CNameRecord(DnsComposer.ToLibrary(query.Name), seconds, DnsComposer.ToLibrary(owner));
        return query.Type == DnsNumbers.CName ? new(Found([alias])) : AnswerServiceAsync(query, service, owner, [alias], cancel);
    }

    /// <param name="owner">The canonical name: labels below, then the key.</param>
    /// <param name="answers">What leads to it: nothing, or the alias.</param>
    private async ValueTask<DnsReply> AnswerServiceAsync(DnsQuery query, OnionAddress service, DnsName owner, List<DnsRecordBase> answers, CancellationToken cancel)
    {
        DomainName libraryOwner = DnsComposer.ToLibrary(owner);
        int before = answers.Count, underscores = Underscores(owner);
        switch (query.Type)
        {
            case DnsNumbers.A or DnsNumbers.Aaaa when underscores == 0:
                MappedAddresses addresses;
                if (service == _options.OwnService && (_options.OwnIPv4 ?? _options.OwnIPv6) is not null)
                {
                    addresses = new MappedAddresses(_options.OwnIPv4, _options.OwnIPv6);
                }
                else if (await HalfAsync(service, cancel).ConfigureAwait(false) is not { } packets)
                {
                    return DnsReply.Failure(DnsNumbers.ServFail, ExtendedError.Other, "the service is not reached, so that it is not known whether it takes IP packets");
                }
                else if (!_map.TryAssign(service, out addresses, packets))
                {
                    _counters.Add(DnsCount.MapFull);
                    return DnsReply.Failure(DnsNumbers.ServFail, ExtendedError.Other, "all mapped addresses are in use; a larger range or a shorter lifetime helps");
                }

                if (Addresses(query.Type, libraryOwner, addresses.IPv4, addresses.IPv6) is { } record) answers.Add(record);
                break;
            case DnsNumbers.Txt when underscores == 0:
                answers.Add(new TxtRecord(libraryOwner, AddressSeconds, [$"address={service}", string.Create(CultureInfo.InvariantCulture, $"lifetime={(long)_map.Lifetime.TotalSeconds}")]));
                foreach (string text in (await RecordsAsync(service, cancel).ConfigureAwait(false))?.Texts.Take(MaxTexts) ?? [])
                {
                    if (text.Length is > 0 and <= MaxTextBytes && Ascii.IsValid(text)) answers.Add(new TxtRecord(libraryOwner, AddressSeconds, [text]));
                }

                break;
            case DnsNumbers.Srv when underscores == 2 && service.Kind == OnionKind.Service:
                DomainName target = DnsComposer.ToLibrary(owner.From(underscores));
                string kind = Encoding.Latin1.GetString(owner.Label(0)[1..]), protocol = Encoding.Latin1.GetString(owner.Label(1)[1..]);
                foreach (ServicePort port in (await RecordsAsync(service, cancel).ConfigureAwait(false))?.Ports.Take(MaxPorts) ?? [])
                {
                    if (!port.Service.Equals(kind, StringComparison.OrdinalIgnoreCase) || !port.Protocol.Equals(protocol, StringComparison.OrdinalIgnoreCase)) continue;
                    answers.Add(new SrvRecord(libraryOwner, AddressSeconds, port.Priority, port.Weight, port.Port, target));
                }

                break;
        }

        if (answers.Count > before) return Found(answers);
        DnsName zone = service.Kind == OnionKind.Service ? Loki : Snode;
        return new DnsReply(DnsNumbers.NoError) { Authoritative = true, Answers = answers, Authority = [LocalZone.Start(zone, AddressSeconds)] };
    }

    // Whether the address comes from the upper half of the range: asked once, for it stays. null: unknown.
    private async ValueTask<bool?> HalfAsync(OnionAddress service, CancellationToken cancel) =>
        _map.HasPackets && service.Kind == OnionKind.Service && !_map.Has(service) ? (await RecordsAsync(service, cancel).ConfigureAwait(false))?.TakesPackets : false;

    private async ValueTask<ServiceRecords?> RecordsAsync(OnionAddress service, CancellationToken cancel)
    {
        if (_services is null) return null;
        using var limit = new CancellationTokenSource(_options.ResolveTime, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            return await _services.FindAsync(service, linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return null; // as if it announced nothing
        }
    }

    private DnsReply AnswerReverse(DnsQuery query)
    {
        TryReverse(query.Name, out IPAddress? address);
        DnsName name = query.Name;
        // The zone is the first octet's: it is always within a private range.
        DnsName zone = name.From(name.IsWithin(InAddr) ? 3 : 30);
        OnionAddress service = _options.OwnService;
        bool own = address!.Equals(_options.OwnIPv4) || address.Equals(_options.OwnIPv6);
        if (!own && !_map.TryFind(address, out service)) return LocalZone.NoName(zone, 1);
        if (query.Type != DnsNumbers.Ptr) return LocalZone.NoData(zone, AddressSeconds);
        DnsName target = DnsName.Parse(service.IsNone ? "localhost.loki" : service.ToString());
        return Found([new PtrRecord(DnsComposer.ToLibrary(name), AddressSeconds, DnsComposer.ToLibrary(target))]);
    }

    private DnsRecordBase? Addresses(ushort type, DomainName owner, IPAddress? v4, IPAddress? v6) => type switch
    {
        DnsNumbers.A when v4 is not null => new ARecord(owner, AddressSeconds, v4),
        DnsNumbers.Aaaa when v6 is not null => new AaaaRecord(owner, AddressSeconds, v6),
        _ => null,
    };

    private static DnsReply Found(List<DnsRecordBase> answers) => new(DnsNumbers.NoError) { Authoritative = true, Answers = answers };

    private static int Seconds(TimeSpan lifetime, TimeSpan least, TimeSpan most) => (int)Math.Clamp(lifetime.TotalSeconds, least.TotalSeconds, most.TotalSeconds);

    // Labels like `_http._tcp`: RFC 2782 puts them before a name; no name of ours has them.
    private static int Underscores(DnsName name)
    {
        int count = 0;
        while (count < name.Labels && name.Label(count)[0] == (byte)'_') count++;
        return count;
    }

    private static string Text(DnsName name, int from, int end)
    {
        var text = new StringBuilder();
        for (int i = from; i < end; i++) text.Append(i == from ? "" : ".").Append(Encoding.ASCII.GetString(name.Label(i)));
        return text.ToString();
    }

    // Whole addresses only; parts of private ranges are kept by SpecialNames.
    private static bool TryReverse(DnsName name, out IPAddress? address)
    {
        address = null;
        if (name.Labels == 6 && name.IsWithin(InAddr))
        {
            Span<byte> bytes = stackalloc byte[4];
            for (int i = 0; i < 4; i++)
            {
                if (!byte.TryParse(name.Label(i), NumberStyles.None, CultureInfo.InvariantCulture, out bytes[3 - i])) return false;
            }

            address = new IPAddress(bytes);
            return true;
        }

        if (name.Labels == 34 && name.IsWithin(Ip6))
        {
            Span<byte> bytes = stackalloc byte[16];
            for (int i = 0; i < 32; i++)
            {
                ReadOnlySpan<byte> label = name.Label(i);
                if (label.Length != 1 || !char.IsAsciiHexDigit((char)label[0])) return false;
                int digit = char.IsAsciiDigit((char)label[0]) ? label[0] - '0' : label[0] - 'a' + 10;
                bytes[15 - i / 2] |= (byte)(i % 2 == 0 ? digit : digit << 4);
            }

            address = new IPAddress(bytes);
            return true;
        }

        return false;
    }
}
