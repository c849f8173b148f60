using Oxen.Ons.Ledger;

namespace Oxen.Ons.Zones;

/// <summary>Why a store does not take a name below a zone.</summary>
internal enum SubnameRefusal : byte
{
    None = 0,

    /// <summary>These bytes are no publication.</summary>
    Malformed,

    /// <summary>Not signed by the delegation key.</summary>
    NotSigned,

    /// <summary>Its own last second is over.</summary>
    Expired,

    /// <summary>A record as new or newer is kept already.</summary>
    Old,

    /// <summary>There is no such zone, or it is not active.</summary>
    NoZone,

    /// <summary>The zone's owner of now has not said that this key may publish.</summary>
    NotGranted,

    /// <summary>The zone has as many names as one may have.</summary>
    ZoneFull,

    /// <summary>This store has as many names as it may have.</summary>
    StoreFull,
}

// By zone and look-up hash: whoever has a zone of his own cannot stand before another one's names. One file per name; a file is
// replaced whole. Everything is in memory as well: 2 KiB at most each.
// What is no longer granted (the zone has lapsed, another owner has it) or is over is not given out, and goes when room is needed.

/// <summary>Keeps names below zones for whoever asks. For any number of threads.</summary>
internal sealed class SubnameStore
{
    /// <summary>Most names below one zone.</summary>
    public const int MaxOfZone = 256;

    /// <summary>Most names of all zones.</summary>
    public const int MaxNames = 50_000;

    /// <summary>Most publications of a page.</summary>
    public const int MaxPage = 64;

    private readonly Lock _gate = new();
    private readonly string? _directory;
    private readonly Func<LedgerState> _state;
    private readonly TimeProvider _time;
    private readonly Dictionary<(Bytes32 Zone, Bytes32 Lookup), Kept> _kept = [];
    private readonly SortedDictionary<ulong, Kept> _byNumber = [];
    private readonly Dictionary<Bytes32, HashSet<Bytes32>> _ofZone = [];
    private ulong _number;

    private sealed record Kept(ulong Number, Bytes32 Lookup, SubnamePublication Publication, SubnameHead Head)
    {
        /// <summary>The owner and epoch whose grant was found good: a signature is checked once for each, not at every look.</summary>
        public (Bytes32 Owner, uint Epoch)? Granted { get; set; }
    }

    /// <param name="directory">Where the files are; null: in memory alone.</param>
    /// <exception cref="IOException">The directory cannot be made or read.</exception>
    public SubnameStore(string? directory, Func<LedgerState> state, TimeProvider time)
    {
        (_directory, _state, _time) = (directory, state, time);
        Run = BitConverter.ToUInt32(System.Security.Cryptography.RandomNumberGenerator.GetBytes(4));
        if (directory is null) return;
        System.IO.Directory.CreateDirectory(directory);
        foreach (string file in System.IO.Directory.EnumerateFiles(directory))
        {
            if (file.EndsWith(".new", StringComparison.Ordinal) || new FileInfo(file).Length > SubnamePublication.MaxBytes) continue;
            if (_kept.Count >= MaxNames) break;

            // Whether the zone grants it is looked at when somebody asks: the ledger may not be read yet.
            if (SubnamePublication.Read(File.ReadAllBytes(file)) is { } read && Subname.ReadHead(read.Record, read.Delegation) is { } head) Add(read, head);
        }
    }

    /// <summary>Which run of the store gave the numbers of <see cref="After"/>.</summary>
    public uint Run { get; }

    public int Count
    {
        get
        {
            lock (_gate) return _kept.Count;
        }
    }

    /// <summary>The record of a name, as its signer made it; null: none is kept.</summary>
    public byte[]? Find(Bytes32 zone, Bytes32 lookup)
    {
        LedgerState state = _state();
        lock (_gate) return _kept.TryGetValue((zone, lookup), out Kept? kept) && IsGood(kept, state) ? kept.Publication.Record : null;
    }

    /// <summary>What is kept of a zone.</summary>
    public IReadOnlyList<SubnamePublication> OfZone(Bytes32 zone)
    {
        LedgerState state = _state();
        lock (_gate) return _ofZone.TryGetValue(zone, out HashSet<Bytes32>? lookups) ? [.. lookups.Select(l => _kept[(zone, l)]).Where(k => IsGood(k, state)).Select(k => k.Publication)] : [];
    }

    /// <summary>Publications numbered above a number, oldest first; at most <see cref="MaxPage"/>.</summary>
    public IReadOnlyList<(ulong Number, SubnamePublication Publication)> After(ulong number)
    {
        LedgerState state = _state();
        var page = new List<(ulong, SubnamePublication)>();
        lock (_gate)
        {
            if (number >= _number) return page;
            foreach ((ulong at, Kept kept) in _byNumber)
            {
                if (at <= number || !IsGood(kept, state)) continue;
                page.Add((at, kept.Publication));
                if (page.Count == MaxPage) break;
            }
        }

        return page;
    }

    /// <summary>Takes a publication, and has it on the disk when this returns.</summary>
    /// <exception cref="IOException">It cannot be written; it is not taken.</exception>
    public SubnameRefusal Put(ReadOnlySpan<byte> bytes)
    {
        if (SubnamePublication.Read(bytes) is not { } publication) return SubnameRefusal.Malformed;
        LedgerState state = _state();
        if (state.ActiveZone(publication.Zone) is not { } zone) return SubnameRefusal.NoZone;
        if (!publication.IsGrantedBy(zone.Owner, zone.Epoch, state.Network)) return SubnameRefusal.NotGranted;
        if (Subname.ReadHead(publication.Record, publication.Delegation) is not { } head) return SubnameRefusal.NotSigned;
        if (Now > head.LastUnixSecond) return SubnameRefusal.Expired;
        lock (_gate)
        {
            if (_kept.TryGetValue((zone.Index, head.Lookup), out Kept? before))
            {
                if (before.Publication.Record.AsSpan().SequenceEqual(publication.Record) && IsGood(before, state)) return SubnameRefusal.None;
                if (head.Sequence <= before.Head.Sequence && IsGood(before, state)) return SubnameRefusal.Old;
            }
            else
            {
                if (_ofZone.TryGetValue(zone.Index, out HashSet<Bytes32>? ofZone) && ofZone.Count >= MaxOfZone && !MakeRoom([.. ofZone.Select(l => (zone.Index, l))], state)) return SubnameRefusal.ZoneFull;
                if (_kept.Count >= MaxNames && !MakeRoom([.. _kept.Keys], state)) return SubnameRefusal.StoreFull;
            }

            Write(head.Lookup, publication);
            if (before is not null) Forget(before);
            Add(publication, head);
            return SubnameRefusal.None;
        }
    }

    private ulong Now => (ulong)Math.Max(0, _time.GetUtcNow().ToUnixTimeSeconds());

    // Under the gate.
    private bool IsGood(Kept kept, LedgerState state)
    {
        if (Now > kept.Head.LastUnixSecond || state.ActiveZone(kept.Publication.Zone) is not { } zone) return false;
        if (kept.Granted == (zone.Owner, zone.Epoch)) return true;
        if (!kept.Publication.IsGrantedBy(zone.Owner, zone.Epoch, state.Network)) return false;
        kept.Granted = (zone.Owner, zone.Epoch);
        return true;
    }

    private void Add(SubnamePublication publication, SubnameHead head)
    {
        var kept = new Kept(++_number, head.Lookup, publication, head);
        _kept[(publication.Zone, head.Lookup)] = kept;
        _byNumber[kept.Number] = kept;
        if (!_ofZone.TryGetValue(publication.Zone, out HashSet<Bytes32>? lookups)) _ofZone[publication.Zone] = lookups = [];
        lookups.Add(head.Lookup);
    }

    private void Forget(Kept kept)
    {
        _kept.Remove((kept.Publication.Zone, kept.Lookup));
        _byNumber.Remove(kept.Number);
        HashSet<Bytes32> lookups = _ofZone[kept.Publication.Zone];
        lookups.Remove(kept.Lookup);
        if (lookups.Count == 0) _ofZone.Remove(kept.Publication.Zone);
    }

    private bool MakeRoom((Bytes32 Zone, Bytes32 Lookup)[] among, LedgerState state)
    {
        bool made = false;
        foreach ((Bytes32 Zone, Bytes32 Lookup) key in among)
        {
            Kept kept = _kept[key];
            if (IsGood(kept, state)) continue;
            if (_directory is not null) File.Delete(FileOf(key.Zone, key.Lookup));
            Forget(kept);
            made = true;
        }

        return made;
    }

    private void Write(Bytes32 lookup, SubnamePublication publication)
    {
        if (_directory is null) return;
        string file = FileOf(publication.Zone, lookup), fresh = file + ".new";
        using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write))
        {
            stream.Write(publication.ToBytes());
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, file, overwrite: true);
    }

    private string FileOf(Bytes32 zone, Bytes32 lookup) => Path.Combine(_directory!, $"{zone}-{lookup}");
}
