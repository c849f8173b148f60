using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace Oxen.Swarm.Storage;

// Group commit. One thread owns the writing connection. It takes whatever waits, up to a limit, runs it in one transaction and
// waits once for the disk; only then do the callers hear of it. Under load a commit serves hundreds of writes, alone one: a write
// that comes alone is committed at once, but after a commit of several the next begins some milliseconds after it at the soonest.
//
// If anything in a batch fails, the batch is rolled back and its jobs run again one by one, each in a transaction of its own,
// so that the failure falls on the job that causes it. SQLite itself rolls back when a disk is full; this way we need not know.

/// <summary>Runs writes on one thread, many to a transaction.</summary>
internal sealed class CommitQueue : IDisposable
{
    private const int MaxBatch = 512;
    private const int MaxWaiting = 20_000;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(4);

    private readonly object _gate = new();
    private readonly Queue<Job> _jobs = new();
    private readonly WriteSession _session;
    private readonly Action<SqliteException?> _outcome;
    private readonly Thread _thread;

    /// <param name="session">The writing connection; this queue disposes of it.</param>
    /// <param name="outcome">Told after each commit: null, or what failed.</param>
    public CommitQueue(WriteSession session, Action<SqliteException?> outcome)
    {
        _session = session;
        _outcome = outcome;
        _thread = new Thread(Run) { IsBackground = true, Name = "swarm store" };
        _thread.Start();
    }

    /// <summary>Commits since the start, and jobs in them.</summary>
    public (long Commits, long Jobs) Totals => (Interlocked.Read(ref _commits), Interlocked.Read(ref _done));

    private long _commits, _done;
    private bool _closed;
    private long _begun; // the last commit
    private bool _loaded; // it had several jobs

    private abstract class Job
    {
        public abstract void Run(WriteSession session);

        public abstract void Succeed();

        public abstract void Fail(Exception e);
    }

    private sealed class Job<T>(Func<WriteSession, T> work) : Job
    {
        private readonly TaskCompletionSource<T> _source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T _result = default!;

        public Task<T> Task => _source.Task;

        public override void Run(WriteSession session) => _result = work(session);

        public override void Succeed() => _source.TrySetResult(_result);

        public override void Fail(Exception e) => _source.TrySetException(e);
    }

    /// <summary>Runs `work` in some transaction; the task is done when that is on disk.</summary>
    /// <exception cref="StoreException">In the task: the store is closed, busy, or could not write.</exception>
    public Task<T> RunAsync<T>(Func<WriteSession, T> work)
    {
        var job = new Job<T>(work);
        string? refusal = null;
        lock (_gate)
        {
            if (_closed) refusal = "the store is closed";
            else if (_jobs.Count >= MaxWaiting) refusal = "more writes wait than the store's queue holds; try again later";
            else _jobs.Enqueue(job);
            if (_jobs.Count is 1 or MaxBatch) Monitor.Pulse(_gate); // else the thread is awake, or gathers
        }

        if (refusal is not null) job.Fail(new StoreException(refusal));
        return job.Task;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
        _session.Dispose();
    }

    private void Run()
    {
        var batch = new List<Job>(MaxBatch);
        while (Take(batch))
        {
            if (Attempt(batch, out Exception? failure)) continue;
            if (batch.Count == 1)
            {
                Refuse(batch[0], failure!);
                continue;
            }

            foreach (Job job in batch)
            {
                if (!Attempt([job], out failure)) Refuse(job, failure!);
            }
        }
    }

    // Waits for jobs; false when the queue is closed and empty. Sleeps without spinning: a node's CPU is not for waiting.
    private bool Take(List<Job> batch)
    {
        batch.Clear();
        lock (_gate)
        {
            while (_jobs.Count == 0)
            {
                if (_closed) return false;
                Monitor.Wait(_gate);
            }

            while (_loaded && !_closed && _jobs.Count < MaxBatch)
            {
                TimeSpan left = Gather - Stopwatch.GetElapsedTime(_begun);
                if (left <= TimeSpan.Zero) break;
                Monitor.Wait(_gate, (int)Math.Ceiling(left.TotalMilliseconds));
            }

            while (batch.Count < MaxBatch && _jobs.TryDequeue(out Job? next)) batch.Add(next);
            _begun = Stopwatch.GetTimestamp();
            _loaded = batch.Count > 1;
            return true;
        }
    }

    private bool Attempt(List<Job> batch, out Exception? failure)
    {
        failure = null;
        try
        {
            _session.Begin();
            foreach (Job job in batch) job.Run(_session);
            _session.Commit();
        }
        catch (Exception e) // whatever a job does, the thread goes on
        {
            failure = e;
            _session.RollBack();
            return false;
        }

        Interlocked.Increment(ref _commits);
        Interlocked.Add(ref _done, batch.Count);
        _outcome(null);
        foreach (Job job in batch) job.Succeed();
        return true;
    }

    private void Refuse(Job job, Exception failure)
    {
        if (failure is SqliteException sqlite)
        {
            _outcome(sqlite);
            failure = new StoreException(MessageStore.Explain(sqlite), sqlite);
        }

        job.Fail(failure);
    }
}
