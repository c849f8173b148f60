using System.IO.Pipelines;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Hosting;

/// <summary>
/// A stream that a client opened to a hidden service, its header read. Nothing but the answer stands before its raw bytes:
/// <see cref="AcceptAsync"/> or <see cref="RefuseAsync"/>, once.
/// </summary>
internal sealed class ServiceStream(OnionStream stream, ProxyDestination target, long client) : OnionStream
{
    /// <summary>What the client asked for: the service itself, or, of an exit, something of the outside.</summary>
    public ProxyDestination Target { get; } = target;

    /// <summary>It goes to the outside: a service that is an exit gets such streams, no other.</summary>
    public bool IsOutward => !Target.IsNone && (!Target.IsName || ServiceNames.ZoneOf(Target.Name) == NameZone.Outside);

    /// <summary>The name that the client asked for, such as `www.&lt;52 digits&gt;.loki`: a claim, as a Host header is.</summary>
    public string Host => Target.Name ?? "";

    /// <summary>The port that the client asked for.</summary>
    public ushort Port => Target.Port;

    /// <summary>A number for one client's session, the same in all its streams; it says nothing of who it is.</summary>
    public long Client { get; } = client;

    public override IDuplexPipe Transport => stream.Transport;

    public override CancellationToken InputEnded => stream.InputEnded;

    /// <summary>Tells the client that it is connected.</summary>
    public async ValueTask AcceptAsync(CancellationToken cancel = default) => await AnswerAsync(ProxyStatus.Connected, cancel).ConfigureAwait(false);

    /// <summary>Tells the client why not, and ends the stream.</summary>
    public async ValueTask RefuseAsync(ProxyStatus status, CancellationToken cancel = default)
    {
        try
        {
            await AnswerAsync(status, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            // The client has gone, or is not to be waited for.
        }

        await DisposeAsync().ConfigureAwait(false);
    }

    public override void Abort(Exception? reason = null) => stream.Abort(reason);

    public override ValueTask DisposeAsync() => stream.DisposeAsync();

    private async ValueTask AnswerAsync(ProxyStatus status, CancellationToken cancel)
    {
        PipeWriter output = stream.Transport.Output;
        output.Advance(ProxyWire.WriteReply(status, default, output.GetSpan(ProxyWire.MaxHeaderBytes)));
        await output.FlushAsync(cancel).ConfigureAwait(false);
    }
}
