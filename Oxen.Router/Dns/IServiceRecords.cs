namespace Oxen.Router.Dns;

/// <summary>One port that a service announces. Its host is the service itself.</summary>
/// <param name="Service">Without the underscore: `http`.</param>
/// <param name="Protocol">Without the underscore: `tcp` or `udp`.</param>
internal sealed record ServicePort(string Service, string Protocol, ushort Priority, ushort Weight, ushort Port);

/// <summary>What a service says of itself.</summary>
/// <param name="TakesPackets">It takes IP packets.</param>
internal sealed record ServiceRecords(IReadOnlyList<ServicePort> Ports, IReadOnlyList<string> Texts, bool TakesPackets = false);

/// <summary>Where the resolver learns what a service announces: its descriptor, or the configuration for our own. Any thread may ask.</summary>
internal interface IServiceRecords
{
    /// <summary>null: nothing is known of it, or it announces nothing. The content is a stranger's and is checked by the caller.</summary>
    ValueTask<ServiceRecords?> FindAsync(OnionAddress service, CancellationToken cancel);
}
