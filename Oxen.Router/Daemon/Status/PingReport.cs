using System.Text.Json;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Status;

/// <summary>One measurement of a path in use, hop by hop. Its JSON form is for scripts: names stay, new ones may come.</summary>
internal sealed record PingReport
{
    private static readonly JsonSerializerOptions Form = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <summary>What was asked for.</summary>
    public required string Name { get; init; }

    /// <summary>A hidden service's address; empty: a path to an exit.</summary>
    public string Service { get; init; } = "";

    public IReadOnlyList<PingHop> Hops { get; init; } = [];

    /// <summary>Of the whole way; null: not measured, and <see cref="Trouble"/> says why.</summary>
    public double? Milliseconds { get; init; }

    /// <summary>What could not be measured and why, or what is missing; empty when nothing is.</summary>
    public string Trouble { get; init; } = "";

    public string ToJson() => JsonSerializer.Serialize(this, Form);

    public static PingReport Parse(string json) => JsonSerializer.Deserialize<PingReport>(json, Form) ?? throw new JsonException("an empty answer");

    /// <summary>Measures the way to a name: a hidden service from end to end, anything else up to the exit.</summary>
    public static async Task<PingReport> MeasureAsync(string name, RouterNode client, INameSource? names, CancellationToken cancel)
    {
        string lower = name.ToLowerInvariant().TrimEnd('.');
        try
        {
            if (ServiceNames.ZoneOf(lower) == NameZone.Outside)
            {
                PathMeasure toExit = await client.Client!.MeasureAsync(cancel).ConfigureAwait(false);
                return Of(name, "", client.Client.LeavesByService, toExit, "the way from the exit on is not measured: an exit sends no pings for its clients");
            }

            (ServiceAddress service, _) = await ServiceNames.ResolveAsync(lower, names, cancel).ConfigureAwait(false);
            PathMeasure measure = await client.Hidden!.Clients.MeasureAsync(service, cancel).ConfigureAwait(false);
            return Of(name, service.ToString(), isService: true, measure, measure.End is null ? "the service did not answer in time" : "");
        }
        catch (OnionUnavailableException e)
        {
            return new PingReport { Name = name, Trouble = e.Message };
        }
    }

    private static PingReport Of(string name, string service, bool isService, PathMeasure measure, string trouble)
    {
        return new PingReport
        {
            Name = name,
            Service = service,
            Hops = [.. measure.Hops.Select((hop, i) => new PingHop(
                hop,
                i < measure.Hops.Count - 1 ? "relay" : isService ? "rendezvous" : "exit",
                measure.HopRtt[i]?.TotalMilliseconds,
                measure.HopRtt[i] is null ? "no answer in time" : ""))],
            Milliseconds = (isService ? measure.End : measure.HopRtt[^1])?.TotalMilliseconds,
            Trouble = trouble,
        };
    }
}

/// <param name="Router">Its id.</param>
/// <param name="Role">relay, rendezvous, exit.</param>
/// <param name="Milliseconds">Round trip; null where there was no answer.</param>
internal sealed record PingHop(string Router, string Role, double? Milliseconds, string Trouble);
