using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;

namespace Oxen.Router.Dns;

internal sealed record AddressMapOptions
{
    /// <summary>Ranges that no machine of the outside has (RFC 1918, RFC 6598, RFC 4193): only inside of these may a map give out.</summary>
    public static readonly IReadOnlyList<IPNetwork> Private = [.. new[] { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7" }.Select(IPNetwork.Parse)];

    /// <summary>IPv4 addresses to give out; null: none. From /8 to /29. The network's own address, the next one, and the last one stay free.</summary>
    public IPNetwork? IPv4 { get; init; } = IPNetwork.Parse("10.99.0.0/16");

    /// <summary>IPv6 addresses to give out; null: none. From /8 to /64.</summary>
    public IPNetwork? IPv6 { get; init; } = IPNetwork.Parse("fd6f:7865:6e00:3::/64");

    /// <summary>Services that take IP packets have addresses of the upper half of each range (<see cref="AddressMap.PacketsIPv4"/>), others of the lower one. False: all of the whole.</summary>
    public bool Packets { get; init; }

    /// <summary>Services of one kind that have addresses at one time; less if the IPv4 range is smaller.</summary>
    public int Capacity { get; init; } = 16_384;

    /// <summary>For how long an address keeps standing for its service after its last use.</summary>
    public TimeSpan Lifetime { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>
/// Which private address stands for which hidden service or router. Slot n is the n-th address of both families. An address
/// stays with its service while it is used or held and for a lifetime after that; then, and only when no slot is free, the one
/// that was used longest ago is given to another service. From address to service: no lock, no allocation.
/// </summary>
internal sealed class AddressMap
{
    // The network's address and the one behind it (the resolver or the interface may have it).
    private const int FirstHost = 2;

    private readonly Lock _lock = new();
    private readonly Dictionary<OnionAddress, int> _slots = [];
    private readonly Entry?[] _entries;
    private readonly TimeProvider _time;
    private readonly uint _base4;
    private readonly ulong _high6, _low6;
    private readonly int _capacity; // of one kind: slots up to it are the lower half's, those behind it the upper half's
    private readonly uint _half4;
    private readonly UInt128 _half6;
    private readonly int[] _used = new int[2];
    private readonly long[] _nothingBefore = [long.MinValue, long.MinValue];

    public AddressMap(AddressMapOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Capacity, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Lifetime, TimeSpan.FromSeconds(1));
        if (options.IPv4 is null && options.IPv6 is null) throw new ArgumentException("mapped addresses need a range: IPv4, IPv6 or both", nameof(options));
        long capacity = options.Capacity;
        Span<byte> bytes = stackalloc byte[16];
        if (options.IPv4 is { } v4)
        {
            if (v4.BaseAddress.AddressFamily != AddressFamily.InterNetwork || v4.PrefixLength is < 8 or > 29) throw new ArgumentException($"'{v4}' is no IPv4 range between /8 and /29", nameof(options));
            RequirePrivate(v4);
            v4.BaseAddress.TryWriteBytes(bytes, out _);
            _base4 = BinaryPrimitives.ReadUInt32BigEndian(bytes);
            if (options.Packets) _half4 = 1u << (31 - v4.PrefixLength);
            capacity = Math.Min(capacity, (1L << ((options.Packets ? 31 : 32) - v4.PrefixLength)) - FirstHost - 1);
        }

        if (options.IPv6 is { } v6)
        {
            if (v6.BaseAddress.AddressFamily != AddressFamily.InterNetworkV6 || v6.PrefixLength is < 8 or > 64) throw new ArgumentException($"'{v6}' is no IPv6 range between /8 and /64", nameof(options));
            RequirePrivate(v6);
            v6.BaseAddress.TryWriteBytes(bytes, out _);
            _high6 = BinaryPrimitives.ReadUInt64BigEndian(bytes);
            _low6 = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
            if (options.Packets) _half6 = UInt128.One << (127 - v6.PrefixLength);
        }

        IPv4 = options.IPv4;
        IPv6 = options.IPv6;
        Lifetime = options.Lifetime;
        _capacity = (int)capacity;
        _entries = new Entry?[options.Packets ? 2 * capacity : capacity];
        _time = time;
    }

    public IPNetwork? IPv4 { get; }

    public IPNetwork? IPv6 { get; }

    /// <summary>The upper half of the range, for services that take IP packets; null: there is none. Its second address is the interface's.</summary>
    public IPNetwork? PacketsIPv4 => IPv4 is { } v4 && _half4 != 0 ? new IPNetwork(Address4(_base4 + _half4), v4.PrefixLength + 1) : null;

    /// <inheritdoc cref="PacketsIPv4"/>
    public IPNetwork? PacketsIPv6 => IPv6 is { } v6 && _half6 != 0 ? new IPNetwork(Address6(Base6 + _half6), v6.PrefixLength + 1) : null;

    /// <summary>Services that take IP packets have a half of their own.</summary>
    public bool HasPackets => _entries.Length > _capacity;

    public TimeSpan Lifetime { get; }

    public int Capacity => _entries.Length;

    private UInt128 Base6 => new(_high6, _low6);

    public int Count
    {
        get
        {
            lock (_lock) return _slots.Count;
        }
    }

    /// <summary>The service has addresses.</summary>
    public bool Has(in OnionAddress service)
    {
        lock (_lock) return _slots.ContainsKey(service);
    }

    /// <summary>The service's addresses, given now if it had none; this counts as use. False: every slot is in use.</summary>
    /// <param name="packets">It takes IP packets: if it has no address yet, one of the upper half (<see cref="AddressMapOptions.Packets"/>).</param>
    public bool TryAssign(in OnionAddress service, out MappedAddresses addresses, bool packets = false)
    {
        if (service.IsNone) throw new ArgumentException("nothing to map", nameof(service));
        if (packets && !HasPackets) throw new ArgumentException("the map has no upper half", nameof(packets));
        int kind = packets ? 1 : 0;
        long now = _time.GetTimestamp();
        lock (_lock)
        {
            if (_slots.TryGetValue(service, out int slot))
            {
                _entries[slot]!.Touch(now);
            }
            else
            {
                if (_used[kind] < _capacity) slot = kind * _capacity + _used[kind]++;
                else if (!TryFree(kind, now, out slot)) return None(out addresses);
                // The whole entry is replaced: who reads without a lock sees the old service or the new one, never a mixture.
                Volatile.Write(ref _entries[slot], new Entry(service, now));
                _slots.Add(service, slot);
            }

            addresses = AddressesOf(slot);
            return true;
        }
    }

    /// <summary>What an address stands for; this counts as use. Any thread, no lock.</summary>
    public bool TryFind(in UdpAddress address, out OnionAddress service)
    {
        service = default;
        if (!TrySlot(address, out int slot) || Volatile.Read(ref _entries[slot]) is not { } entry) return false;
        entry.Touch(_time.GetTimestamp());
        service = entry.Service;
        return true;
    }

    /// <summary>As <see cref="TryFind(in UdpAddress, out OnionAddress)"/>, for addresses of the platform.</summary>
    public bool TryFind(IPAddress address, out OnionAddress service)
    {
        ArgumentNullException.ThrowIfNull(address);
        return TryFind(UdpAddress.From(new IPEndPoint(address, 0)), out service);
    }

    /// <summary>Keeps the address with its service until as many <see cref="Release"/>. For connections: a long silence must not give their address away.</summary>
    public bool TryHold(in UdpAddress address, out OnionAddress service)
    {
        service = default;
        if (!TrySlot(address, out int slot)) return false;
        lock (_lock)
        {
            if (_entries[slot] is not { } entry) return false;
            entry.Touch(_time.GetTimestamp());
            entry.Holds++;
            service = entry.Service;
            return true;
        }
    }

    public void Release(in OnionAddress service)
    {
        lock (_lock)
        {
            if (!_slots.TryGetValue(service, out int slot) || _entries[slot]!.Holds == 0) throw new ArgumentException("nobody holds it", nameof(service));
            _entries[slot]!.Holds--;
            _entries[slot]!.Touch(_time.GetTimestamp());
            _nothingBefore[slot / _capacity] = long.MinValue;
        }
    }

    /// <summary>Is the address in a range that this map gives out from, given or not?</summary>
    public bool Covers(in UdpAddress address) => address.Family switch
    {
        UdpFamily.IPv4 => IPv4 is { } v4 && ((uint)(address.High >> 32) ^ _base4) >> (32 - v4.PrefixLength) == 0,
        UdpFamily.IPv6 => IPv6 is { } v6 && (address.High ^ _high6) >> (64 - v6.PrefixLength) == 0,
        _ => false,
    };

    private static void RequirePrivate(IPNetwork range)
    {
        if (AddressMapOptions.Private.Any(p => p.BaseAddress.AddressFamily == range.BaseAddress.AddressFamily && p.PrefixLength <= range.PrefixLength && p.Contains(range.BaseAddress))) return;
        throw new ArgumentException($"'{range}' is no private range; mapped addresses must not be anybody's on the outside (take one inside {string.Join(", ", AddressMapOptions.Private)})");
    }

    private static bool None(out MappedAddresses addresses)
    {
        addresses = default;
        return false;
    }

    private bool TrySlot(in UdpAddress address, out int slot)
    {
        slot = -1;
        if (!Covers(address)) return false;
        bool four = address.Family == UdpFamily.IPv4;
        UInt128 index = four ? (uint)(address.High >> 32) - _base4 : new UInt128(address.High, address.Low) - Base6, half = four ? _half4 : _half6;
        bool upper = half != 0 && index >= half;
        index -= (upper ? half : 0) + FirstHost; // what lies before the first host becomes huge
        if (index >= (UInt128)_capacity) return false;
        slot = (upper ? _capacity : 0) + (int)index;
        return true;
    }

    // The one that was used longest ago, if its lifetime is over. When none is, there is no use in looking again before the oldest's time comes.
    private bool TryFree(int kind, long now, out int slot)
    {
        slot = -1;
        if (now < _nothingBefore[kind]) return false;
        long oldest = long.MaxValue;
        for (int i = kind * _capacity; i < (kind + 1) * _capacity; i++)
        {
            Entry entry = _entries[i]!;
            if (entry.Holds > 0 || entry.LastUse >= oldest) continue;
            oldest = entry.LastUse;
            slot = i;
        }

        if (slot >= 0 && _time.GetElapsedTime(oldest, now) >= Lifetime)
        {
            _slots.Remove(_entries[slot]!.Service);
            return true;
        }

        _nothingBefore[kind] = slot < 0 ? long.MaxValue : oldest + (long)(Lifetime.TotalSeconds * _time.TimestampFrequency);
        return false;
    }

    private MappedAddresses AddressesOf(int slot)
    {
        (uint half4, UInt128 half6) = slot >= _capacity ? (_half4, _half6) : default;
        uint host = FirstHost + (uint)(slot % _capacity);
        return new MappedAddresses(IPv4 is null ? null : Address4(_base4 + half4 + host), IPv6 is null ? null : Address6(Base6 + half6 + host));
    }

    private static IPAddress Address4(uint address)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, address);
        return new IPAddress(bytes);
    }

    private static IPAddress Address6(UInt128 address)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, address);
        return new IPAddress(bytes);
    }

    private sealed class Entry(OnionAddress service, long now)
    {
        private long _lastUse = now;

        public readonly OnionAddress Service = service;
        public int Holds; // under the lock

        public long LastUse => Volatile.Read(ref _lastUse);

        // Readers race; whichever of two close moments stays does not matter.
        public void Touch(long now)
        {
            if (now > LastUse) Volatile.Write(ref _lastUse, now);
        }
    }
}

/// <summary>The addresses of one service; null where the map has no range of that family.</summary>
internal readonly record struct MappedAddresses(IPAddress? IPv4, IPAddress? IPv6);
