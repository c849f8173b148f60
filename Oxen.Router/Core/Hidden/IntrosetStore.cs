using System.Buffers.Binary;

namespace Oxen.Router.Core.Hidden;

/// <summary>What became of an introset that somebody brought.</summary>
internal enum IntrosetPut : byte
{
    Stored,

    /// <summary>A later revision is here, or the same one with other bytes.</summary>
    Stale,

    /// <summary>Not one of this version, not for a period that is near, expired, or living too long.</summary>
    Refused,

    /// <summary>Not signed by its blinded key.</summary>
    WrongSignature,

    /// <summary>No room, or more came than we look at.</summary>
    Busy,
}

internal sealed record IntrosetStoreOptions
{
    public int MaxIntrosets { get; init; } = 8192;

    /// <summary>Bytes of all introsets together.</summary>
    public long MaxBytes { get; init; } = 64L << 20;

    /// <summary>Signatures checked a second, from all together, and after a rest: a check costs 60 us or so.</summary>
    public double ChecksPerSecond { get; init; } = 200;

    public double CheckBurst { get; init; } = 400;
}

/// <summary>
/// What a relay keeps of others' introsets: the highest revision of each blinded key, period and instance, until it expires. Knows
/// neither services nor clients. Single-threaded; times are unix seconds.
/// </summary>
internal sealed class IntrosetStore(IntrosetStoreOptions options)
{
    private readonly IntrosetStoreOptions _options = options;
    private readonly Dictionary<(UInt128 High, UInt128 Low, ulong Period, byte Instance), Introset> _kept = [];
    private double _checks = options.CheckBurst;
    private long _filled;
    private long _nextSweep;

    public int Count => _kept.Count;

    public long Bytes { get; private set; }

    public IntrosetPut Put(ReadOnlySpan<byte> data, long nowUnixSeconds)
    {
        Sweep(nowUnixSeconds);
        if (!Introset.TryRead(data, out Introset? introset)) return IntrosetPut.Refused;
        ulong period = ServicePeriod.At(nowUnixSeconds);
        if (introset!.Period + 1 < period || introset.Period > period + 1) return IntrosetPut.Refused;
        long life = introset.ExpiresUnixSeconds - nowUnixSeconds;
        if (life <= 0 || life > (long)Introset.MaxLife.TotalSeconds + 600) return IntrosetPut.Refused;

        (UInt128, UInt128, ulong, byte) key = KeyOf(introset.BlindedKey, introset.Period, introset.Instance);
        bool known = _kept.TryGetValue(key, out Introset? before);
        if (known && before!.Revision >= introset.Revision) return before.Encoded.SequenceEqual(data) ? IntrosetPut.Stored : IntrosetPut.Stale;
        if (!known && (_kept.Count >= _options.MaxIntrosets || Bytes + data.Length > _options.MaxBytes)) return IntrosetPut.Busy;
        if (!MayCheck(nowUnixSeconds)) return IntrosetPut.Busy;
        if (!introset.HasGoodSignature()) return IntrosetPut.WrongSignature;
        if (known) Bytes -= before!.Encoded.Length;
        _kept[key] = introset;
        Bytes += data.Length;
        return IntrosetPut.Stored;
    }

    /// <summary>One introset for each instance, those of the last revision first.</summary>
    public IReadOnlyList<Introset> Get(ReadOnlySpan<byte> blinded, ulong period, long nowUnixSeconds)
    {
        if (blinded.Length != KeyBlinding.KeyBytes) return [];
        List<Introset> found = [];
        for (byte instance = 0; instance < Introset.MaxInstances; instance++)
            if (_kept.TryGetValue(KeyOf(blinded, period, instance), out Introset? introset) && introset.ExpiresUnixSeconds > nowUnixSeconds) found.Add(introset);
        found.Sort(static (a, b) => b.Revision.CompareTo(a.Revision));
        return found;
    }

    private void Sweep(long now)
    {
        if (now < _nextSweep && _nextSweep - now < 120) return;
        _nextSweep = now + 60;
        foreach (((UInt128, UInt128, ulong, byte) key, Introset introset) in _kept.ToArray())
        {
            if (introset.ExpiresUnixSeconds > now) continue;
            _kept.Remove(key);
            Bytes -= introset.Encoded.Length;
        }
    }

    private bool MayCheck(long now)
    {
        if (now > _filled)
        {
            _checks = Math.Min(_options.CheckBurst, _checks + (now - _filled) * _options.ChecksPerSecond);
            _filled = now;
        }

        if (_checks < 1) return false;
        _checks--;
        return true;
    }

    private static (UInt128, UInt128, ulong, byte) KeyOf(ReadOnlySpan<byte> blinded, ulong period, byte instance) =>
        (BinaryPrimitives.ReadUInt128BigEndian(blinded), BinaryPrimitives.ReadUInt128BigEndian(blinded[16..]), period, instance);
}
