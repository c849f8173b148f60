using System.Security.Cryptography;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Core.Relay;

// The tables change here, between batches: a bounded number of commands a turn, each to its end.
internal sealed partial class ShardCore
{
    private const int CommandsPerTurn = 64;

    // Windows that wait for paths which have not heard of their client yet.
    private const int SpareWindows = 64;

    // Paths to be retired, and how much of the originations was written before they were.
    private readonly List<(PathNumber Path, long Written, Instant Since)> _retiring = [];

    private readonly Stack<int> _freeClientKeys = new();
    private int _freshClientKeys;

    public void HandleCommands(Instant now)
    {
        for (int i = 0; i < CommandsPerTurn && _commands.TryDequeue(out ShardCommand? command); i++)
        {
            bool done = command switch
            {
                AddLinkReceiver c => Do(c),
                AddLinkSender c => Do(c),
                AddTransitPath c => Do(c, now),
                AddTerminalPath c => Do(c, now),
                AddClientPath c => Do(c, now),
                JoinPaths c => Do(c),
                RemovePath c => Remove(c.Path),
                RetirePath c => Do(c, now),
                SetRateCap c => Do(c),
                RemoveLinkReceiver c => Do(c),
                MoveLink c => Do(c),
                RemoveLink c => Do(c),
                OpenTunnelPeer c => Tunnel?.Do(c) ?? false,
                BindTunnelPath c => Tunnel?.Do(c) ?? false,
                RouteTunnelPeer c => Tunnel?.Do(c, now) ?? false,
                CloseTunnelPeer c => Tunnel?.Do(c, now) ?? false,
                _ => throw new ArgumentException("unknown command " + command.GetType().Name),
            };
            if (!done) Refuse(command, now);
        }

        _tables.Windows.TopUp(SpareWindows);
    }

    private bool Do(AddLinkReceiver c)
    {
        bool done = c.Index % (uint)Options.ShardCount == (uint)Options.Shard
            && _tables.Links.AddReceiver(c.Index, c.Link, c.SenderShard, c.Peer, c.Suite, c.Secret);
        CryptographicOperations.ZeroMemory(c.Secret);
        return done;
    }

    private bool Do(AddLinkSender c)
    {
        bool done = _tables.Links.AddSender(c.Link, c.ReceiverShard, c.PeerIndex, c.Peer, c.Suite, c.Secret) >= 0;
        CryptographicOperations.ZeroMemory(c.Secret);
        return done;
    }

    private bool Do(RemoveLinkReceiver c)
    {
        _tables.Links.RemoveReceiver(c.Index);
        return true;
    }

    private bool Do(MoveLink c)
    {
        _tables.Links.Move(c.Link, c.Peer);
        return true;
    }

    private bool Do(RemoveLink c)
    {
        _tables.Links.RemoveLink(c.Link);
        return true;
    }

    private bool Do(AddTransitPath c, Instant now)
    {
        bool done = CanAdd(c.Path, c.Up, c.Down);
        if (done)
        {
            ref PathRow path = ref Begin(c.Path, PathKind.Transit, c.Class, c.Back, c.Keys.StartEpoch, c.Expires);
            path.OnwardShard = c.Onward.ReceiverShard;
            path.UpSlot = Install(c.Up, SlotKind.TransitUp, c.Path, c.Class, c.Onward, c.Expires);
            path.DownSlot = Install(c.Down, SlotKind.TransitDown, c.Path, c.Class, c.Back, c.Expires);
            TakeKeys(c.Path.Row, c.Keys, now);
        }

        Wipe(c.Keys);
        return done;
    }

    private bool Do(AddTerminalPath c, Instant now)
    {
        // A terminal's upstream may come to another shard than the one that its session originates on.
        bool done = CanAdd(c.Path, c.Up, PathIngress.None);
        if (done)
        {
            ref PathRow path = ref Begin(c.Path, PathKind.Terminal, c.Class, c.Back, c.Keys.StartEpoch, c.Expires);
            path.UpSlot = Install(c.Up, SlotKind.TerminalUp, c.Path, c.Class, PathEgress.None, c.Expires);
            TakeKeys(c.Path.Row, c.Keys, now);
        }

        Wipe(c.Keys);
        return done;
    }

    private bool Do(AddClientPath c, Instant now)
    {
        int more = c.Hops.Length - 1;
        int left = _freeClientKeys.Count + (_tables.Keys.Rows - Options.MaxPaths - _freshClientKeys);
        bool done = c.Hops.Length is >= 1 and <= PerHop.Length && more <= left && CanAdd(c.Path, PathIngress.None, c.Down);
        if (done)
        {
            ref PathRow path = ref Begin(c.Path, PathKind.Client, c.Class, c.First, c.Hops[0].StartEpoch, c.Expires);
            path.Hops = (byte)c.Hops.Length;
            path.Probes = new OutstandingProbes();
            path.DownSlot = Install(c.Down, SlotKind.ClientDown, c.Path, c.Class, PathEgress.None, c.Expires);
            for (int hop = 0; hop < c.Hops.Length; hop++)
            {
                int row = c.Path.Row;
                if (hop > 0 && !_freeClientKeys.TryPop(out row)) row = Options.MaxPaths + _freshClientKeys++;
                path.KeyRows[hop] = row;
                TakeKeys(row, c.Hops[hop], now);
            }
        }

        foreach (HopChains keys in c.Hops) Wipe(keys);
        return done;
    }

    // Either may have gone meanwhile: then nothing crosses, and the session thread hears of it from the control thread.
    private bool Do(JoinPaths c)
    {
        if (!_tables.Hops.IsPath(c.One.Row, c.One.Generation) || !_tables.Hops.IsPath(c.Other.Row, c.Other.Generation)) return true;
        ref PathRow one = ref _tables.Hops.Path(c.One.Row), other = ref _tables.Hops.Path(c.Other.Row);
        if (one.Kind != PathKind.Terminal || other.Kind != PathKind.Terminal || one.Class != other.Class) return true;
        (one.JoinedRow, one.JoinedGeneration) = (c.Other.Row + 1, c.Other.Generation);
        (other.JoinedRow, other.JoinedGeneration) = (c.One.Row + 1, c.One.Generation);
        return true;
    }

    private bool Do(RetirePath c, Instant now)
    {
        _retiring.Add((c.Path, Originations.Written, now));
        return true;
    }

    /// <summary>After a turn's datagrams are sent: those paths end whose last words were among them. An event that finds no room waits, path and all.</summary>
    private void Retire()
    {
        for (int i = _retiring.Count - 1; i >= 0; i--)
        {
            (PathNumber path, long written, Instant since) = _retiring[i];
            if (Originations.Released < written || !Events.TryAdd(new ShardEvent { Kind = ShardEventKind.PathRetired, Path = path, Link = -1, At = since })) continue;
            Remove(path);
            _retiring.RemoveAt(i);
        }
    }

    private bool Remove(PathNumber number)
    {
        if (!_tables.Hops.IsPath(number.Row, number.Generation)) return false;
        ref PathRow path = ref _tables.Hops.Path(number.Row);
        Uninstall(path.UpSlot);
        Uninstall(path.DownSlot);
        for (int hop = 0; hop < path.Hops; hop++)
        {
            _tables.Keys.Wipe(path.KeyRows[hop]);
            if (hop > 0) _freeClientKeys.Push(path.KeyRows[hop]);
            _tables.Windows.Release(ref path.Windows[hop]);
        }

        path = default;
        return true;
    }

    private bool Do(SetRateCap c)
    {
        if (!_tables.Hops.IsPath(c.Path.Row, c.Path.Generation)) return false;
        ref PathRow path = ref _tables.Hops.Path(c.Path.Row);
        if (path.UpSlot >= 0) _tables.Hops.Slot(path.UpSlot).CapInterval = Interval(c.PacketsPerSecond);
        if (path.DownSlot >= 0) _tables.Hops.Slot(path.DownSlot).CapInterval = Interval(c.PacketsPerSecond);
        return true;
    }

    private bool CanAdd(PathNumber number, in PathIngress up, in PathIngress down)
        => (uint)number.Row < (uint)_tables.Hops.PathCount && number.Generation != 0
        && _tables.Hops.Path(number.Row).Kind == PathKind.None && IsFree(up) && IsFree(down);

    private bool IsFree(in PathIngress ingress)
    {
        if (ingress.Handle.IsNone) return true;
        int row = _tables.Hops.RowOf(ingress.Handle.Slot);
        return row >= 0 && _tables.Hops.Slot(row).Kind == SlotKind.Free;
    }

    private ref PathRow Begin(PathNumber number, PathKind kind, SizeClass size, in PathEgress outward, uint startEpoch, Instant expires)
    {
        ref PathRow path = ref _tables.Hops.Path(number.Row);
        path = new PathRow
        {
            Generation = number.Generation, Kind = kind, Class = size, Hops = 1, UpSlot = -1, DownSlot = -1, StartEpoch = startEpoch, Expires = expires.Nanoseconds,
            OutSender = -1, OutLink = outward.Link, OutShard = outward.ReceiverShard, OutHandle = outward.Handle.ToWire(),
        };
        path.KeyRows[0] = number.Row;
        for (int hop = 0; hop < PerHop.Length; hop++) path.Windows[hop] = NumberWindows.None;
        return ref path;
    }

    private int Install(in PathIngress ingress, SlotKind kind, PathNumber path, SizeClass size, in PathEgress egress, Instant expires)
    {
        if (ingress.Handle.IsNone) return -1;
        int row = _tables.Hops.RowOf(ingress.Handle.Slot);
        _tables.Hops.Slot(row) = new SlotRow
        {
            Generation = ingress.Handle.Generation, Kind = kind, Class = size, IngressLink = ingress.Link, Path = path.Row, EgressSender = -1,
            EgressLink = egress.Link, EgressHandle = egress.Handle.ToWire(), Expires = expires.Nanoseconds, CapInterval = Interval(Options.PathPacketsPerSecond),
        };
        Fairness.Forget(row);
        return row;
    }

    private void Uninstall(int row)
    {
        if (row >= 0) _tables.Hops.Slot(row) = default;
    }

    private void TakeKeys(int row, HopChains keys, Instant now)
    {
        _tables.Keys.Put(row, keys.ChainUpstream, keys.ChainDownstream, keys.StartEpoch);
        var epochs = new PathEpochs(_clock, now);
        _tables.Keys.Prepare(row, epochs.Current);
        if (epochs.Into >= PathEpochs.PreviousAcceptedNanoseconds) _tables.Keys.Prepare(row, epochs.Current + 1);
        KeyTaken(row, now);
    }

    private static int Interval(int packetsPerSecond) => packetsPerSecond <= 0 ? 0 : 1_000_000_000 / packetsPerSecond;

    private static void Wipe(HopChains keys)
    {
        CryptographicOperations.ZeroMemory(keys.ChainUpstream);
        CryptographicOperations.ZeroMemory(keys.ChainDownstream);
    }

    private void Refuse(ShardCommand command, Instant now)
    {
        var refused = new ShardEvent { Kind = ShardEventKind.CommandRefused, Link = -1, Path = new PathNumber(-1, 0), At = now };
        switch (command)
        {
            case AddLinkReceiver c: refused.Link = c.Link; break;
            case AddLinkSender c: refused.Link = c.Link; break;
            case AddTransitPath c: refused.Path = c.Path; break;
            case AddTerminalPath c: refused.Path = c.Path; break;
            case AddClientPath c: refused.Path = c.Path; break;
            case RemovePath c: refused.Path = c.Path; break;
            case SetRateCap c: refused.Path = c.Path; break;
        }

        Events.TryAdd(refused);
    }
}
