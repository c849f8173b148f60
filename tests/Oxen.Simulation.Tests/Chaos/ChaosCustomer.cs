using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>A client that transfers all the time, with an exit or with a hidden service, and what became of its transfers.</summary>
internal sealed class ChaosCustomer
{
    // Without faults a transfer that stands still for so long is stuck: longer than any timer inside.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ChaosPlan _plan;
    private readonly SimWorld _world;
    private readonly ServiceAddress? _service;
    private SimTransfer? _transfer;
    private long _received;
    private Instant _progressAt;
    private Instant _nextAt;
    private int _losses;
    private int _lossesAtStart;

    public ChaosCustomer(ChaosPlan plan, SimWorld world, SimRouter router, ServiceAddress? service)
    {
        _plan = plan;
        _world = world;
        Router = router;
        _service = service;
        if (service is null)
        {
            router.GroupLost = _ => _losses++;
            router.Want(0);
        }
    }

    public SimRouter Router { get; }

    public int Completed { get; private set; }

    /// <summary>Transfers that ended with their session.</summary>
    public int Lost { get; private set; }

    public bool IsReady => _service is null ? Router.IsReady() : Hidden?.State == HiddenClientState.Ready;

    public bool IsIdle => _transfer is null;

    private HiddenClient? Hidden { get; set; }

    /// <summary>To be called often.</summary>
    public void Turn(bool calm)
    {
        if (_service is { } address && (Hidden is null || Hidden.State == HiddenClientState.Idle) && _world.Now >= _nextAt)
        {
            if (Hidden is not null) _losses++;
            Hidden = Router.Reach(address);
            _nextAt = _world.Now + TimeSpan.FromSeconds(2);
        }

        if (_transfer is { } transfer) Follow(transfer, calm);
        else if (IsReady && _world.Now >= _nextAt) Start();
    }

    private void Start()
    {
        _transfer = Hidden is null ? Router.Transfer(_plan.TransferBytes) : Router.Transfer(Hidden, _plan.TransferBytes);
        _received = 0;
        _progressAt = _world.Now;
        _lossesAtStart = _losses;
    }

    private void Follow(SimTransfer transfer, bool calm)
    {
        _world.Check(!transfer.Corrupt, $"{Router.Name} got other bytes back than it sent");
        if (transfer.Received > _received || !calm)
        {
            _received = transfer.Received;
            _progressAt = _world.Now;
        }

        if (transfer.Over)
        {
            if (transfer.Complete) Completed++;
            else Lost++;
            bool told = _losses > _lossesAtStart || !IsReady || transfer.Quic != (Hidden is null ? Router.Group()?.Quic : Hidden.Quic);
            _world.Check(transfer.Complete || told, $"{Router.Name} lost a transfer, and nobody told it that its session is lost");
            _transfer = null;
            _nextAt = _world.Now + _plan.Pause;
        }
        else
        {
            _world.Check(_world.Now - _progressAt < Patience, $"a transfer of {Router.Name} is stuck: {transfer}");
        }
    }
}
