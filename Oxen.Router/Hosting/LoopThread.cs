using System.Collections.Concurrent;
using Oxen.Router.Core;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>Work for a loop thread; kept and posted again rather than made anew.</summary>
internal interface ILoopWork
{
    void Run(Instant now);
}

/// <summary>
/// A thread that owns single-threaded state machines. Others give it work by <see cref="Post(ILoopWork)"/>; it sleeps until there is
/// some, or until the machines' next deadline. A turn that throws costs that turn: the supervisor reports it and goes on.
/// </summary>
internal abstract class LoopThread : IDisposable
{
    private readonly ConcurrentQueue<ILoopWork> _work = new();
    private readonly LoopSignal _signal = new();
    private readonly Thread _thread;
    private readonly Action<string, Exception> _onFault;
    private volatile bool _stop;
    private long _allocated;

    protected LoopThread(string name, MonotonicClock clock, Action<string, Exception> onFault)
    {
        Clock = clock;
        _onFault = onFault;
        _thread = new Thread(Run) { Name = name, IsBackground = true };
    }

    public MonotonicClock Clock { get; }

    /// <summary>Bytes that the thread allocated so far, sampled now and then.</summary>
    public long AllocatedBytes => Volatile.Read(ref _allocated);

    public bool IsLoopThread => Thread.CurrentThread == _thread;

    public void Start() => _thread.Start();

    public void Post(ILoopWork work)
    {
        _work.Enqueue(work);
        Wake();
    }

    public void Post(Action<Instant> action) => Post(new ActionWork(action));

    /// <summary>Runs on the loop and gives the result to whoever waits.</summary>
    public Task<T> InvokeAsync<T>(Func<Instant, T> function)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(now =>
        {
            try
            {
                completion.SetResult(function(now));
            }
            catch (Exception e)
            {
                completion.SetException(e);
            }
        });
        return completion.Task;
    }

    /// <summary>Something waits in a ring that the loop reads.</summary>
    public virtual void Wake() => _signal.Wake();

    public virtual void Dispose()
    {
        _stop = true;
        Wake();
        if (_thread.IsAlive && !IsLoopThread && !_thread.Join(TimeSpan.FromSeconds(5))) return;
        _signal.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>One turn: takes what is in the rings, runs what is due, sends what is to be sent. True when more may be waiting.</summary>
    protected abstract bool Turn(Instant now);

    protected abstract Instant NextDeadline { get; }

    /// <summary>Sleeps until <see cref="Wake"/>, now or since the last sleep, or until the time is over. May end early.</summary>
    protected virtual void Sleep(TimeSpan time) => _signal.Wait(time);

    private void Run()
    {
        while (!_stop)
        {
            try
            {
                while (!_stop)
                {
                    Instant now = Clock.Now;
                    for (int i = 0; i < 256 && _work.TryDequeue(out ILoopWork? work); i++) work.Run(now);
                    bool more = Turn(now) || !_work.IsEmpty;
                    Volatile.Write(ref _allocated, GC.GetAllocatedBytesForCurrentThread());
                    if (more) continue;
                    Instant deadline = NextDeadline;
                    if (deadline <= now) continue;
                    Sleep(deadline.IsNever ? Timeout.InfiniteTimeSpan : deadline - now + new TimeSpan(1));
                }
            }
            catch (Exception e)
            {
                _onFault(_thread.Name!, e);
                if (!_stop) Thread.Sleep(10);
            }
        }
    }

    private sealed class ActionWork(Action<Instant> action) : ILoopWork
    {
        public void Run(Instant now) => action(now);
    }
}
