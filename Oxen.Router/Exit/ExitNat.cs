using System.Runtime.Versioning;

namespace Oxen.Router.Exit;

// The kernel's part of an exit's tunnel, in the namespace of the calling thread:
//
//   1 what killed exits left is taken back   2 the journal says what will change   3 tables   4 forwarding is turned on
//
// and back in the other order. Forwarding is one switch for all exits of a namespace: the first one turns it on, the last one
// off again. Nobody needs to be alive for it: the journal has the old values and who is there (UndoJournal).

/// <summary>Address translation, limits and forwarding for the inner addresses of an exit. Disposing takes everything back.</summary>
[SupportedOSPlatform("linux")]
internal sealed class ExitNat : IDisposable
{
    private readonly ExitNatOptions _options;
    private readonly UndoJournal.Owner _self;
    private bool _closed;

    private ExitNat(ExitNatOptions options, bool six)
    {
        _options = options;
        HasIPv6 = six;
        _self = UndoJournal.Owner.Ourselves(options.Tun, six);
    }

    /// <summary>False: this machine has no IPv6, or the pool has none.</summary>
    public bool HasIPv6 { get; }

    /// <summary>Kills' left-overs were found and taken back.</summary>
    public bool Recovered { get; private set; }

    /// <exception cref="ExitNatException">Something is missing or refused; everything done before is undone.</exception>
    public static ExitNat Open(ExitNatOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var nat = new ExitNat(options, options.Pool6 is not null && KernelSetting.HasIPv6);
        using UndoJournal journal = UndoJournal.Open(options.JournalDirectories)!;
        nat.Recovered = Recover(journal);
        if (journal.Owners.Any(o => o.Tun == options.Tun)) throw new ExitNatException(ExitNatFault.NameTaken, $"another exit that runs here has the interface {options.Tun}");
        List<KernelSetting> changes = KernelSetting.ForForwarding(nat.HasIPv6);
        KernelSetting[] before = [.. journal.Settings];
        journal.Settings.AddRange(changes.Where(c => journal.Settings.All(s => s.Path != c.Path)));
        journal.Owners.Add(nat._self);
        journal.Write();
        try
        {
            // What is not for the tunnel is never forwarded, not for a moment: the tables come first.
            NftProgram.Apply(NatRules.Exit(options, nat.HasIPv6) + Guards(journal));
        }
        catch (ExitNatException)
        {
            // All of the text or nothing: nothing has changed.
            journal.Owners.Remove(nat._self);
            journal.Settings.Clear();
            journal.Settings.AddRange(before);
            journal.Write();
            throw;
        }

        try
        {
            foreach (KernelSetting change in changes) TurnOn(change);
            return nat;
        }
        catch (ExitNatException)
        {
            TryRemove(journal, nat._self);
            throw;
        }
    }

    /// <summary>Takes back what killed exits left in this namespace. True if there was something.</summary>
    /// <exception cref="ExitNatException">It cannot be taken back; the journal keeps it.</exception>
    public static bool Recover(IReadOnlyList<string> journalDirectories)
    {
        using UndoJournal? journal = UndoJournal.Open(journalDirectories, mustExist: true);
        return journal is not null && Recover(journal);
    }

    /// <summary>Takes everything back. What cannot be is told, and stays in the journal for the next start.</summary>
    /// <exception cref="ExitNatException">Something stays.</exception>
    public void Close()
    {
        if (_closed) return;
        _closed = true;
        using UndoJournal journal = UndoJournal.Open(_options.JournalDirectories)!;
        Remove(journal, [_self]);
    }

    public void Dispose()
    {
        try
        {
            Close();
        }
        catch (ExitNatException)
        {
            // The journal keeps it.
        }
    }

    private static bool Recover(UndoJournal journal)
    {
        if (journal.IsEmpty || (journal.Owners.Count > 0 && journal.Owners.All(o => o.IsAlive))) return false;
        Remove(journal, [.. journal.Owners.Where(o => !o.IsAlive)]);
        return true;
    }

    // When setting up failed, that error counts; what taking back runs into stays in the journal.
    private static void TryRemove(UndoJournal journal, UndoJournal.Owner owner)
    {
        try
        {
            Remove(journal, [owner]);
        }
        catch (ExitNatException)
        {
            // The next start tries again.
        }
    }

    private static void Remove(UndoJournal journal, IReadOnlyCollection<UndoJournal.Owner> gone)
    {
        journal.Owners.RemoveAll(gone.Contains);

        // Forwarding ends before the tables that guard it.
        if (journal.Owners.Count == 0)
        {
            for (int i = journal.Settings.Count - 1; i >= 0; i--) TakeBack(journal.Settings[i]);
        }

        NftProgram.Apply(string.Concat(gone.Select(o => NatRules.Removal(o.Family, NatRules.Table(o.Tun)))) + Guards(journal));
        if (journal.Owners.Count == 0) journal.Settings.Clear();
        journal.Write();
    }

    private static string Guards(UndoJournal journal)
    {
        string[] tuns = [.. journal.Owners.Select(o => o.Tun)];
        return (journal.Settings.Any(s => s.Path == KernelSetting.Forwarding4) ? NatRules.Guard("ip", tuns) : "")
            + (journal.Settings.Any(s => s.Path == KernelSetting.Forwarding6) ? NatRules.Guard("ip6", tuns) : "");
    }

    private static void TurnOn(KernelSetting change)
    {
        try
        {
            change.Set();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException && change.Path is not (KernelSetting.Forwarding4 or KernelSetting.Forwarding6))
        {
            // An interface that went meanwhile.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExitNatException(ExitNatFault.ForwardingLocked, $"forwarding cannot be turned on: {e.Message}", e);
        }
    }

    private static void TakeBack(KernelSetting change)
    {
        try
        {
            change.Undo();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExitNatException(ExitNatFault.ForwardingLocked, $"/proc/sys/net/{change.Path} cannot be put back to {change.Old}: {e.Message}", e);
        }
    }
}
