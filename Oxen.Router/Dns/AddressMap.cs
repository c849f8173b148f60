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

    /// <summary>Services that have addresses at one time; less if the IPv4 range is smaller.</summary>
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
    private int _used;
    private long _nothingBefore = long.MinValue;

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
            capacity = Math.Min(capacity, (1L << (32 - v4.PrefixLength)) - FirstHost - 1);
        }

        if (options.IPv6 is { } v6)
        {
            if (v6.BaseAddress.AddressFamily != AddressFamily.InterNetworkV6 || v6.PrefixLength is < 8 or > 64) throw new ArgumentException($"'{v6}' is no IPv6 range between /8 and /64", nameof(options));
            RequirePrivate(v6);
            v6.BaseAddress.TryWriteBytes(bytes, out _);
            _high6 = BinaryPrimitives.ReadUInt64BigEndian(bytes);
            _low6 = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        }

        IPv4 = options.IPv4;
        IPv6 = options.IPv6;
        Lifetime = options.Lifetime;
        _entries = new Entry?[capacity];
        _time = time;
    }

    public IPNetwork? IPv4 { get; }

    public IPNetwork? IPv6 { get; }

    public TimeSpan Lifetime { get; }

    public int Capacity => _entries.Length;

    public int Count
    {
        get
        {
            lock (_lock) return _slots.Count;
        }
    }

    /// <summary>The service's addresses, given now if it had none; this counts as use. False: every slot is in use.</summary>
    public bool TryAssign(in OnionAddress service, out MappedAddresses addresses)
    {
        if (service.IsNone) throw new ArgumentException("nothing to map", nameof(service));
        long now = _time.GetTimestamp();
        lock (_lock)
        {
            if (_slots.TryGetValue(service, out int slot))
            {
                _entries[slot]!.Touch(now);
            }
            else
            {
                if (_used < _entries.Length) slot = _used++;
                else if (!TryFree(now, out slot)) return None(out addresses);
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
            _nothingBefore = long.MinValue;
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
        ulong index;
        if (!Covers(address)) return false;
        if (address.Family == UdpFamily.IPv4) index = (uint)(address.High >> 32) - _base4 - (ulong)FirstHost;
        else if (address.High != _high6) return false;
        else index = address.Low - _low6 - FirstHost;
        if (index >= (ulong)_entries.Length) return false;
        slot = (int)index;
        return true;
    }

    // The one that was used longest ago, if its lifetime is over. When none is, there is no use in looking again before the oldest's time comes.
    private bool TryFree(long now, out int slot)
    {
        slot = -1;
        if (now < _nothingBefore) return false;
        long oldest = long.MaxValue;
        for (int i = 0; i < _entries.Length; i++)
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

        _nothingBefore = slot < 0 ? long.MaxValue : oldest + (long)(Lifetime.TotalSeconds * _time.TimestampFrequency);
        return false;
    }

    private MappedAddresses AddressesOf(int slot)
    {
        Span<byte> bytes = stackalloc byte[16];
        IPAddress? v4 = null, v6 = null;
        if (IPv4 is not null)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, _base4 + FirstHost + (uint)slot);
            v4 = new IPAddress(bytes[..4]);
        }

        if (IPv6 is not null)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes, _high6);
            BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], _low6 + FirstHost + (ulong)slot);
            v6 = new IPAddress(bytes);
        }

        return new MappedAddresses(v4, v6);
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
