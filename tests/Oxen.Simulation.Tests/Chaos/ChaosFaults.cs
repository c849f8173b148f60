using System.Globalization;
using Oxen.Router.Core;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>What goes wrong, when and for how long; and the end of all of it.</summary>
internal sealed class ChaosFaults
{
    private readonly ChaosPlan _plan;
    private readonly SimWorld _world;
    private readonly ChaosWatch _watch;
    private readonly SeededEntropy _dice;
    private readonly SimLink _calm;
    private readonly HashSet<UdpAddress> _apart = [];
    private readonly List<(UdpAddress From, UdpAddress To)> _cuts = [];
    private readonly Dictionary<int, double> _clocks = [];
    private int _storm;

    public ChaosFaults(ChaosPlan plan, SimWorld world, ChaosWatch watch)
    {
        _plan = plan;
        _world = world;
        _watch = watch;
        _dice = new SeededEntropy(plan.Seed ^ 0xFA017);
        _calm = world.Network.Default;
        world.Network.DropWhen = (_, from, to, _) => _apart.Count > 0 && _apart.Contains(from) != _apart.Contains(to);
        foreach (SimRouter router in world.Routers) Begin(router);
        foreach (SimRouter client in world.Clients) TellClock(client, 0);
    }

    /// <summary>What happened, with the time; a breach shows the last of it.</summary>
    public List<string> Log { get; } = [];

    public int Count { get; private set; }

    /// <summary>Faults at random until the storm's time is over.</summary>
    public void Rage(TimeSpan time)
    {
        int storm = ++_storm;
        Instant end = _world.Now + time;
        Next();

        void Next()
        {
            // Exponential: many faults at once, and sometimes none for a while.
            TimeSpan wait = _plan.FaultEvery * -Math.Log(1 - _dice.NextDouble());
            _world.Network.Schedule(_world.Now + wait, () =>
            {
                if (storm != _storm || _world.Now >= end || Count >= _plan.MaxFaults) return;
                Count++;
                One(storm);
                Next();
            });
        }
    }

    /// <summary>Everything that is wrong is put right: the dead come back, ways and clocks are as they were. Bad relays stay bad.</summary>
    public void Heal()
    {
        _storm++;
        _apart.Clear();
        _world.Network.Default = _calm;
        foreach ((UdpAddress from, UdpAddress to) in _cuts) _world.Network.SetLink(from, to, null, bothWays: false);
        _cuts.Clear();
        for (int i = 0; i < _world.Routers.Count; i++)
        {
            _world.Routers[i].Frozen = false;
            _world.Routers[i].DropSealed = 0;
            if (_world.Routers[i].IsDead) Restart(i);
            else _world.Network.Wake(_world.Routers[i]);
        }

        foreach (int i in _clocks.Keys.ToArray()) SetClock(i, 0);
        Note("all is put right");
    }

    private void One(int storm)
    {
        int i = _dice.Next(_world.Routers.Count), j = _dice.Next(_world.Routers.Count);
        SimRouter victim = _world.Routers[i];
        TimeSpan time = TimeSpan.FromSeconds(0.2 + (_dice.NextDouble() * _plan.FaultEvery.TotalSeconds * 12));
        switch (_dice.Next(12))
        {
            case 0 or 1:
                if (victim.IsDead || _world.Routers.Count(r => r.IsDead) > _world.Routers.Count / 4) break;
                Note($"{victim.Name} is killed");
                victim.Kill();
                Later(storm, time, () => Restart(i));
                break;
            case 2:
                if (victim.IsDead) break;
                Note($"{victim.Name} is restarted");
                Restart(i);
                break;
            case 3:
                if (victim.IsDead || _world.Routers.Count(r => r.IsDead) > _world.Routers.Count / 4) break;
                Note($"{victim.Name} leaves");
                victim.Stop();
                Later(storm, time, () => Restart(i));
                break;
            case 4:
                Note($"{victim.Name} hangs for {time.TotalSeconds:F1} s");
                victim.Frozen = true;
                Later(storm, time, () =>
                {
                    victim.Frozen = false;
                    if (!victim.IsDead) _world.Network.Wake(victim);
                });
                break;
            case 5:
                double loss = _dice.NextDouble() * 0.3;
                Note($"loss {loss:P0} everywhere for {time.TotalSeconds:F1} s");
                Weather(storm, time, _calm with { Loss = loss });
                break;
            case 6:
                Note($"jitter, reordering and duplicates for {time.TotalSeconds:F1} s");
                Weather(storm, time, _calm with { Jitter = TimeSpan.FromMilliseconds(200 * _dice.NextDouble()), Reorder = 0.1, Duplicate = 0.05, ReorderDelay = TimeSpan.FromMilliseconds(40) });
                break;
            case 7:
                UdpAddress a = victim.Address, b = _world.Routers[j].Address;
                bool both = _dice.Next(2) == 0;
                Note($"no way from {victim.Name} to {_world.Routers[j].Name}{(both ? " and back" : "")} for {time.TotalSeconds:F1} s");
                Cut(a, b);
                if (both) Cut(b, a);
                Later(storm, time, () =>
                {
                    _world.Network.SetLink(a, b, null, bothWays: false);
                    if (both) _world.Network.SetLink(b, a, null, bothWays: false);
                });
                break;
            case 8:
                if (_apart.Count > 0) break;
                foreach (SimRouter router in _world.Routers.Concat(_world.Clients)) if (_dice.Next(3) == 0) _apart.Add(router.Address);
                Note($"{_apart.Count} nodes are cut off from the rest for {time.TotalSeconds:F1} s");
                Later(storm, time, _apart.Clear);
                break;
            case 9:
                double step = Step();
                Note(string.Create(CultureInfo.InvariantCulture, $"the clock of {victim.Name} steps by {step:F1} s"));
                SetClock(i, step);
                Later(storm, time, () => SetClock(i, 0));
                break;
            case 10:
                SimRouter client = _world.Clients[_dice.Next(_world.Clients.Count)];
                double clientStep = Step();
                Note(string.Create(CultureInfo.InvariantCulture, $"the clock of {client.Name} steps by {clientStep:F1} s"));
                TellClock(client, clientStep);
                break;
            default:
                double share = _dice.NextDouble();
                Note($"{victim.Name} loses {share:P0} of what comes for {time.TotalSeconds:F1} s");
                victim.DropSealed = share;
                Later(storm, time, () => victim.DropSealed = 0);
                break;
        }
    }

    private double Step() => (_dice.Next(2) == 0 ? 1 : -1) * (_dice.Next(3) == 0 ? 3600 : 0.5 + (_dice.NextDouble() * 9));

    private void Weather(int storm, TimeSpan time, SimLink weather)
    {
        _world.Network.Default = weather;
        Later(storm, time, () => _world.Network.Default = _calm);
    }

    private void Cut(UdpAddress from, UdpAddress to)
    {
        _world.Network.SetLink(from, to, _calm with { Cut = true }, bothWays: false);
        _cuts.Add((from, to));
    }

    private void Restart(int i)
    {
        if (i >= _world.Routers.Count) return;
        Begin(_world.Restart(_world.Routers[i]));
        if (_clocks.TryGetValue(i, out double by)) TellClock(_world.Routers[i], by);
    }

    private void Begin(SimRouter router)
    {
        _watch.Follow(router);
        TellClock(router, 0);
    }

    private void SetClock(int i, double by)
    {
        if (by == 0) _clocks.Remove(i);
        else _clocks[i] = by;
        if (!_world.Routers[i].IsDead) TellClock(_world.Routers[i], by);
    }

    // What the host of a real router does every few seconds.
    private void TellClock(SimRouter router, double by) => router.Post(now =>
        router.Control.HandleWallClock(SimClock.StartUnixNanoseconds + now.Nanoseconds + (router.Options.ClockSkew.Ticks * 100) + (long)(by * 1e9), now));

    private void Later(int storm, TimeSpan time, Action undo) => _world.Network.Schedule(_world.Now + time, () =>
    {
        if (storm == _storm) undo();
    });

    private void Note(string what) => Log.Add(string.Create(CultureInfo.InvariantCulture, $"{_world.Now} #{Count} {what}"));
}
