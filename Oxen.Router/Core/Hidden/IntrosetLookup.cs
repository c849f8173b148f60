using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Hidden;

/// <summary>
/// One search for a service's introsets: asks several keepers and takes the highest valid revision of each instance, so that one keeper
/// that is silent, behind or lying changes nothing. Ends by calling `done` once, with those that were found.
/// </summary>
internal sealed class IntrosetLookup
{
    /// <summary>Keepers asked at a time.</summary>
    private const int AtOnce = 3;

    // Once a valid one is here, the others get as long again to bring a later one: who is slow for a path's sake costs little then.
    private static readonly TimeSpan LeastGrace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MostGrace = TimeSpan.FromMilliseconds(1500);

    // While there is none, more keepers are asked after this, beside those that are silent.
    private static readonly TimeSpan AskMore = TimeSpan.FromSeconds(2);

    private readonly HiddenContext _context;
    private readonly byte[] _blinded = new byte[KeyBlinding.KeyBytes];
    private readonly ulong _period;
    private readonly Queue<RouterId> _left;
    private readonly Action<IReadOnlyList<Introset>, Instant> _done;
    private readonly Introset?[] _best = new Introset?[Introset.MaxInstances];
    private readonly Instant _began;
    private bool _found;
    private int _asking;
    private bool _over;

    /// <summary>Null when nothing can be asked: the period's randomness is not known yet, or the directory is empty.</summary>
    public static IntrosetLookup? Start(HiddenContext context, ServiceAddress address, ulong period, Action<IReadOnlyList<Introset>, Instant> done, Instant now)
    {
        Span<byte> randomness = stackalloc byte[ServicePeriod.RandomnessBytes];
        if (!context.Randomness(period, randomness)) return null;
        byte[] blinded = new byte[KeyBlinding.KeyBytes];
        if (!KeyBlinding.TryBlind(address, period, randomness, blinded)) return null;
        RouterId[] keepers = IntrosetPlaces.Keepers(blinded, period, randomness, context.Directory);
        if (keepers.Length == 0) return null;
        for (int i = keepers.Length - 1; i > 0; i--)
        {
            int other = context.Choose(i + 1);
            (keepers[i], keepers[other]) = (keepers[other], keepers[i]);
        }

        var search = new IntrosetLookup(context, blinded, period, keepers, done, now);
        search.Ask(now);
        return search;
    }

    private IntrosetLookup(HiddenContext context, byte[] blinded, ulong period, RouterId[] keepers, Action<IReadOnlyList<Introset>, Instant> done, Instant now)
    {
        _began = now;
        _context = context;
        blinded.CopyTo(_blinded, 0);
        _period = period;
        _left = new Queue<RouterId>(keepers);
        _done = done;
    }

    /// <summary>When to take what is here, or to ask more keepers.</summary>
    public Instant NextDeadline { get; private set; } = Instant.Never;

    public void HandleTimeout(Instant now)
    {
        if (_over || NextDeadline > now) return;
        if (_found) End(now);
        else Ask(now);
    }

    /// <summary>The answers that still come are not looked at.</summary>
    public void Cancel()
    {
        _over = true;
        NextDeadline = Instant.Never;
    }

    private void Ask(Instant now)
    {
        byte[] body = IntrosetRequests.WriteGet(_blinded, _period);
        for (int i = 0; i < AtOnce && _left.TryDequeue(out RouterId keeper); i++)
        {
            _asking++;
            _context.Requests.Send(keeper, IntrosetRequests.Get, body, OnAnswer, now);
        }

        NextDeadline = _left.Count > 0 ? now + AskMore : Instant.Never;
    }

    private void OnAnswer(int code, ReadOnlySpan<byte> body, Instant now)
    {
        _asking--;
        if (_over) return;
        if (code == 0)
        {
            foreach (Introset found in IntrosetRequests.ReadAnswer(body))
            {
                Introset? best = _best[found.Instance];
                if (found.Period != _period || !found.BlindedKey.SequenceEqual(_blinded) || found.ExpiresUnixSeconds <= _context.UnixSeconds(now)) continue;
                if ((best is not null && found.Revision <= best.Revision) || !found.HasGoodSignature()) continue;
                _best[found.Instance] = found;
                if (!_found) NextDeadline = now + TimeSpan.FromTicks(Math.Clamp((now - _began).Ticks, LeastGrace.Ticks, MostGrace.Ticks));
                _found = true;
            }
        }

        if (_asking > 0) return;
        if (_found || _left.Count == 0) End(now);
        else Ask(now);
    }

    private void End(Instant now)
    {
        Cancel();
        _done([.. _best.OfType<Introset>()], now);
    }
}
