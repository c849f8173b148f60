using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Native.Linux;
using Oxen.Router.Udp;

namespace Oxen.Testing;

/// <summary>
/// A bad network between real UDP sockets: takes datagrams at <see cref="Address"/> and sends them on to the target, from a port
/// of its own for each client as a NAT would, and the answers back. Seeded; one thread.
/// </summary>
/// <remarks>Made for tests, not for speed: some ten thousand datagrams a second.</remarks>
internal sealed class ImpairmentRelay : IDisposable
{
    private readonly Socket _front;
    private readonly Socket _bell;
    private readonly EndPoint _bellAddress;
    private readonly IPEndPoint _target;
    private readonly string? _space;
    private readonly MonotonicClock _clock = new(TimeProvider.System);
    private readonly Dictionary<IPEndPoint, Mapping> _byClient = [];
    private readonly Dictionary<Socket, Mapping> _bySocket = [];
    private readonly PriorityQueue<Due, (long At, long Number)> _due = new();
    private readonly ImpairmentModel _upModel, _downModel;
    private readonly Thread _thread;
    private readonly long[] _counts = new long[Enum.GetValues<FateCause>().Length];
    private volatile Impairment _up, _down;
    private volatile bool _stop, _rebind;
    private long _number, _rebinds, _delivered;

    /// <param name="target">Where clients' datagrams go.</param>
    /// <param name="seed">Decides every fate.</param>
    /// <param name="up">Client to target.</param>
    /// <param name="down">Target to client; the same as up if not given.</param>
    /// <param name="space">A network namespace that it stands in; null: this one, on loopback.</param>
    /// <param name="front">With a namespace: where clients reach it.</param>
    public ImpairmentRelay(UdpAddress target, ulong seed, Impairment? up = null, Impairment? down = null, string? space = null, IPAddress? front = null)
    {
        _space = space;
        _target = target.ToIPEndPoint();
        _up = up ?? Impairment.None;
        _down = down ?? _up;
        _upModel = new ImpairmentModel(seed * 2);
        _downModel = new ImpairmentModel(seed * 2 + 1);
        _front = NewSocket(front);
        _bell = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        _bell.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _bellAddress = _bell.LocalEndPoint!;
        Address = UdpAddress.From((IPEndPoint)_front.LocalEndPoint!);
        _thread = new Thread(Run) { IsBackground = true, Name = "impairment" };
        _thread.Start();
    }

    private sealed record Mapping(IPEndPoint Client)
    {
        public required Socket Out { get; set; }
    }

    /// <summary>A datagram on its way: up through its mapping's present socket, or down to the client.</summary>
    private readonly record struct Due(byte[] Bytes, Mapping Mapping, bool IsUp);

    /// <summary>Where clients send to.</summary>
    public UdpAddress Address { get; }

    /// <summary>May be changed at any time, for packets that come later.</summary>
    public Impairment Up { get => _up; set => _up = value; }

    public Impairment Down { get => _down; set => _down = value; }

    public long Delivered => Volatile.Read(ref _delivered);

    public long Rebinds => Volatile.Read(ref _rebinds);

    public long this[FateCause cause] => Volatile.Read(ref _counts[(int)cause]);

    /// <summary>The NAT forgets: every client appears to the target from another port. Returns when it is done.</summary>
    public void Rebind()
    {
        long before = Rebinds;
        _rebind = true;
        Ring();
        if (!SpinWait.SpinUntil(() => Rebinds > before, TimeSpan.FromSeconds(10))) throw new TimeoutException("the relay does not rebind");
    }

    public void Dispose()
    {
        if (_stop) return;
        _stop = true;
        Ring();
        _thread.Join();
        _front.Dispose();
        _bell.Dispose();
        foreach (Socket s in _bySocket.Keys) s.Dispose();
    }

    private void Run()
    {
        byte[] buffer = new byte[65536];
        var ready = new List<Socket>();
        while (!_stop)
        {
            ready.Clear();
            ready.Add(_front);
            ready.Add(_bell);
            ready.AddRange(_bySocket.Keys);
            long wait = -1;
            if (_due.TryPeek(out _, out (long At, long Number) next)) wait = Math.Max(0, (next.At - _clock.Now.Nanoseconds + 999) / 1000);
            Socket.Select(ready, null, null, (int)Math.Min(wait, int.MaxValue));
            if (_rebind) ChangePorts();
            foreach (Socket s in ready)
            {
                if (s == _bell) Read(s, buffer, out _);
                else if (s == _front || _bySocket.ContainsKey(s)) Take(s, buffer);
            }

            long now = _clock.Now.Nanoseconds;
            while (_due.TryPeek(out Due d, out (long At, long Number) key) && key.At <= now)
            {
                _due.Dequeue();
                Send(d);
            }
        }
    }

    private void Take(Socket from, byte[] buffer)
    {
        // A bounded number each turn: what is due must not starve.
        for (int i = 0; i < 64 && from.Poll(0, SelectMode.SelectRead); i++)
        {
            int length = Read(from, buffer, out IPEndPoint? sender);
            if (length < 0 || sender is null) return;
            bool up = from == _front;
            Mapping? mapping;
            if (up)
            {
                if (!_byClient.TryGetValue(sender, out mapping))
                {
                    mapping = new Mapping(sender) { Out = NewSocket() };
                    _byClient.Add(sender, mapping);
                    _bySocket.Add(mapping.Out, mapping);
                }
            }
            else
            {
                // As a NAT with filtering: only the target is let in.
                mapping = _bySocket[from];
                if (!sender.Equals(_target)) continue;
            }

            Fate fate = (up ? _upModel : _downModel).Next(up ? _up : _down, length, _clock.Now);
            Interlocked.Increment(ref _counts[(int)fate.Cause]);
            if (fate.IsLost) continue;
            var due = new Due(buffer.AsSpan(0, length).ToArray(), mapping, up);
            _due.Enqueue(due, (fate.First.Nanoseconds, _number++));
            if (!fate.Second.IsNever) _due.Enqueue(due, (fate.Second.Nanoseconds, _number++));
        }
    }

    private void Send(Due d)
    {
        try
        {
            if (d.IsUp) d.Mapping.Out.SendTo(d.Bytes, _target);
            else _front.SendTo(d.Bytes, d.Mapping.Client);
            Interlocked.Increment(ref _delivered);
        }
        catch (SocketException)
        {
            // The far end is gone or its buffer full: a network says nothing then.
        }
    }

    private void ChangePorts()
    {
        foreach (Mapping m in _byClient.Values)
        {
            // The new port first, so that the system cannot give the old one back.
            Socket old = m.Out;
            m.Out = NewSocket();
            _bySocket.Add(m.Out, m);
            _bySocket.Remove(old);
            old.Dispose();
        }

        _rebind = false;
        Interlocked.Increment(ref _rebinds);
    }

    private Socket NewSocket(IPAddress? at = null)
    {
        bool six = _target.AddressFamily == AddressFamily.InterNetworkV6;
        Socket s = _space is null ? Make() : LinuxNamespace.Run(_space, Make);
        (s.ReceiveBufferSize, s.SendBufferSize) = (4 << 20, 4 << 20);
        s.Bind(new IPEndPoint(at ?? (_space is null ? six ? IPAddress.IPv6Loopback : IPAddress.Loopback : six ? IPAddress.IPv6Any : IPAddress.Any), 0));
        return s;

        Socket Make() => new(_target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
    }

    private static int Read(Socket socket, byte[] buffer, out IPEndPoint? from)
    {
        from = null;
        try
        {
            EndPoint any = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
            int n = socket.ReceiveFrom(buffer, ref any);
            from = (IPEndPoint)any;
            return n;
        }
        catch (SocketException)
        {
            return -1; // an answer (ICMP) to an earlier datagram
        }
    }

    private void Ring() => _bell.SendTo([1], _bellAddress);
}
