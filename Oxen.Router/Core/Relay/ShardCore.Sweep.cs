using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

// What each epoch brings, a little at a time: 5 s into it the keys of the one before are wiped, then those of the one after
// are made ready, then the replay filter of the one before is cleared for the one after.
internal sealed partial class ShardCore
{
    // Work of one call: some 100 microseconds each.
    private const int WipesPerCall = 512;
    private const int PreparationsPerCall = 32;
    private const int BlocksPerCall = 8192;

    private static readonly TimeSpan BetweenCalls = TimeSpan.FromMilliseconds(2);

    private enum SweepStage : byte
    {
        Waiting,
        Wiping,
        Preparing,
        Clearing,
        Done,
    }

    private SweepStage _sweep = SweepStage.Done;
    private uint _sweepEpoch;
    private int _sweepRow;
    private int _keyRowsUsed;      // one past the highest row that ever had keys, of paths ...
    private int _clientRowsUsed;   // ... and of clients' further hops
    private Instant _sweepDeadline = Instant.Never;

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Earlier(_sweepDeadline, _tables.Links.NextWipe);
            return Tunnel is null ? next : Instant.Earlier(next, Tunnel.NextDeadline);
        }
    }

    public void HandleTimeout(Instant now)
    {
        _tables.Links.WipePrevious(now);
        Tunnel?.HandleTimeout(now);
        if (now >= _sweepDeadline) Sweep(now);
    }

    private void KeyTaken(int row, Instant now)
    {
        if (row < Options.MaxPaths) _keyRowsUsed = Math.Max(_keyRowsUsed, row + 1);
        else _clientRowsUsed = Math.Max(_clientRowsUsed, row + 1 - Options.MaxPaths);
        if (!_sweepDeadline.IsNever) return;

        // The first path: from now on there is something to sweep.
        _sweepEpoch = 0;
        _sweepDeadline = now;
    }

    private void Sweep(Instant now)
    {
        uint epoch = _clock.EpochAt(now);
        if (epoch != _sweepEpoch)
        {
            _sweepEpoch = epoch;
            _sweep = SweepStage.Waiting;
        }

        int rows = _keyRowsUsed + _clientRowsUsed;
        switch (_sweep)
        {
            case SweepStage.Waiting when _clock.IntoEpoch(now) >= PathEpochs.PreviousAcceptedNanoseconds:
                _sweep = SweepStage.Wiping;
                _sweepRow = 0;
                _tables.Filter.BeginClearing(epoch);
                goto case SweepStage.Wiping;
            case SweepStage.Waiting:
                break;
            case SweepStage.Wiping:
                for (int end = Math.Min(rows, _sweepRow + WipesPerCall); _sweepRow < end; _sweepRow++) _tables.Keys.WipeOlder(KeyRow(_sweepRow), epoch);
                if (_sweepRow < rows) break;
                _sweep = SweepStage.Preparing;
                _sweepRow = 0;
                goto case SweepStage.Preparing;
            case SweepStage.Preparing:
                for (int end = Math.Min(rows, _sweepRow + PreparationsPerCall); _sweepRow < end; _sweepRow++) _tables.Keys.Prepare(KeyRow(_sweepRow), epoch + 1);
                if (_sweepRow < rows) break;
                _sweep = SweepStage.Clearing;
                break;
            case SweepStage.Clearing:
                if (_tables.Filter.Clear(BlocksPerCall)) _sweep = SweepStage.Done;
                break;
        }

        _sweepDeadline = _sweep switch
        {
            SweepStage.Waiting => new Instant(_clock.StartOf(epoch).Nanoseconds + PathEpochs.PreviousAcceptedNanoseconds),
            SweepStage.Done => new Instant(_clock.StartOf(epoch + 1).Nanoseconds + PathEpochs.PreviousAcceptedNanoseconds),
            _ => now + BetweenCalls,
        };
    }

    private int KeyRow(int at) => at < _keyRowsUsed ? at : Options.MaxPaths + at - _keyRowsUsed;
}
