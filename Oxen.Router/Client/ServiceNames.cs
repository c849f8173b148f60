using Oxen.Router.Core.Hidden;
using Oxen.Router.Handlers;

namespace Oxen.Router.Client;

/// <summary>Whose a name is: the outside's, which an exit resolves, or one that must never be asked outside.</summary>
internal enum NameZone : byte
{
    Outside,

    /// <summary>`.loki`: a hidden service.</summary>
    Service,

    /// <summary>`.snode`: a router of the network.</summary>
    Router,
}

/// <summary>From what a user wrote to a hidden service: `KEY.loki`, `www.KEY.loki`, and with a source of names `hello.loki`, `www.hello.loki`.</summary>
internal static class ServiceNames
{
    // How many labels of a short name are asked for, longest first.
    private const int MaxNameLabels = 4;
    private const string RouterEnding = ".snode";

    /// <param name="name">Lower case, without a dot at its end.</param>
    public static NameZone ZoneOf(string name) =>
        name.EndsWith(ServiceAddress.Ending, StringComparison.Ordinal) || name.AsSpan().SequenceEqual(ServiceAddress.Ending.AsSpan(1)) ? NameZone.Service
        : name.EndsWith(RouterEnding, StringComparison.Ordinal) || name.AsSpan().SequenceEqual(RouterEnding.AsSpan(1)) ? NameZone.Router
        : NameZone.Outside;

    /// <summary>The service, and the name by which it is asked: the labels below stay before its address.</summary>
    /// <exception cref="OnionUnavailableException">The name stands for no service; the message says why, in words for the user.</exception>
    public static async ValueTask<(ServiceAddress Service, string Host)> ResolveAsync(string name, INameSource? names, CancellationToken cancel)
    {
        switch (ZoneOf(name))
        {
            case NameZone.Router:
                throw new OnionUnavailableException("names in .snode are not served: a router has no ports to offer");
            case NameZone.Outside:
                throw new OnionUnavailableException("this is no name of a hidden service: such a name ends in .loki");
        }

        string[] labels = name.Split('.');
        if (labels.Length < 2) throw new OnionUnavailableException("the name of a hidden service is missing before .loki");
        string last = labels[^2];
        if (ServiceAddress.TryParse(last, out ServiceAddress address)) return (address, name);
        if (last.Length == ServiceAddress.TextLength) throw new OnionUnavailableException("this is no address of a hidden service: a digit is wrong or missing");
        if (names is null) throw new OnionUnavailableException($"this client has no source of names: write the whole address, {ServiceAddress.TextLength} digits and .loki");
        for (int from = Math.Max(0, labels.Length - 1 - MaxNameLabels); from < labels.Length - 1; from++)
        {
            NameAnswer answer = await names.ResolveAsync(string.Join('.', labels[from..^1]), cancel).ConfigureAwait(false);
            if (answer.Outcome == NameOutcome.NotFound) continue;
            if (answer.Outcome != NameOutcome.Found || !ServiceAddress.TryFrom(answer.Address.Span, out address))
                throw new OnionUnavailableException($"the name could not be looked up: {(answer.Reason.Length == 0 ? "the source of names could not tell" : answer.Reason)}");
            return (address, string.Join('.', [.. labels[..from], address.ToString()]));
        }

        throw new OnionUnavailableException("no hidden service has this name");
    }
}
