namespace Oxen.Router.Core.Relay;

/// <summary>
/// The first byte of an onion packet's content. 1 to 15 are hop control, answered or refused by the shard itself
/// (docs/protocol/onion.md); from <see cref="FirstOfEnds"/> on they are the affair of the path's two ends and pass the
/// shard unread (docs/protocol/session.md).
/// </summary>
internal static class OnionCommand
{
    /// <summary>Client to any hop: id 8. Asks for an <see cref="Answer"/>.</summary>
    public const byte Probe = 1;

    /// <summary>Hop to client: the probe's id 8.</summary>
    public const byte Answer = 2;

    /// <summary>Client to any hop: id 8. The hop ends the path.</summary>
    public const byte Teardown = 3;

    /// <summary>Client to any hop: id 8. Asks for <see cref="StatisticsAnswer"/>.</summary>
    public const byte Statistics = 4;

    /// <summary>Hop to client: id 8, packets upstream 8, packets downstream 8 that the hop has taken on this path.</summary>
    public const byte StatisticsAnswer = 5;

    public const byte FirstOfEnds = 16;

    public const int IdBytes = 8;

    /// <summary>Content of a <see cref="StatisticsAnswer"/>.</summary>
    public const int StatisticsBytes = 24;
}
