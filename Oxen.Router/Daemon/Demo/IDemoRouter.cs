using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>A relay or exit of the demo: hosted in this process, or in one of its own.</summary>
internal interface IDemoRouter : IAsyncDisposable
{
    string Name { get; }

    /// <summary>Its counters; the last ones known once it is gone.</summary>
    Task<RouterFigures> ReadFiguresAsync();

    /// <summary>Ends it without a word to anybody, as if its machine had lost power.</summary>
    void Kill();
}

/// <summary>A router of the demo on threads of this process.</summary>
internal sealed class HostedRouter(RouterNode node) : IDemoRouter
{
    public RouterNode Node => node;

    public string Name => node.Name;

    public Task<RouterFigures> ReadFiguresAsync() => Task.FromResult(node.ReadFigures());

    public void Kill() => node.Kill();

    public ValueTask DisposeAsync() => node.DisposeAsync();
}
