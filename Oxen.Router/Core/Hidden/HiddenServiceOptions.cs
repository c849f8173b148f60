namespace Oxen.Router.Core.Hidden;

/// <summary>What a hidden service is like. The key is its name; whoever has it is the service.</summary>
internal sealed class HiddenServiceOptions
{
    /// <summary>Ed25519 seed, 32 bytes; copied.</summary>
    public required byte[] Seed { get; init; }

    /// <summary>0 to 7: which of several routers this is that serve one address. Two with one number take turns in being found.</summary>
    public byte Instance { get; init; }

    /// <summary>Introduction relays that are kept: 3 to 8.</summary>
    public int Introductions { get; init; } = 3;

    public IReadOnlyList<ServicePort> Ports { get; init; } = [];

    public IReadOnlyList<ServiceRecord> ServiceRecords { get; init; } = [];

    public IReadOnlyList<byte[]> Texts { get; init; } = [];

    /// <summary>X25519 keys of those who may come; empty: everybody who knows the address.</summary>
    public IReadOnlyList<byte[]> Clients { get; init; } = [];

    /// <summary>It is an exit: streams and datagrams to the outside are given to whoever serves it. Not announced; who asks is told.</summary>
    public bool IsExit { get; init; }

    /// <summary>It takes IP packets (<see cref="ServicePackets"/>), and announces that.</summary>
    public bool TakesPackets { get; init; }

    /// <summary>Clients that are answered a second, each with a path of its own, and after a rest.</summary>
    public double AnswersPerSecond { get; init; } = 10;

    public double AnswerBurst { get; init; } = 20;

    /// <summary>Paths to rendezvous that are being built at a time.</summary>
    public int MaxMeetings { get; init; } = 32;

    public int MaxSessions { get; init; } = 4096;

    public IntroductionQueueOptions Queue { get; init; } = new();
}
