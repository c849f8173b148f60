using System.CommandLine;
using System.Globalization;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen ping` and `oxen trace`: ask a running client for round trips on the path that it uses to a name.</summary>
internal sealed class PingVerbs(Screen screen)
{
    private const int MostRounds = 1000;

    // A service may have to be met first.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(75);
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    public Command Ping() => Build("ping", "Measure the round trip to a hidden service, or to the exit in use for any other name.", 4, (_, report) =>
    {
        string end = report.Service.Length > 0 ? report.Service : report.Hops.Count > 0 ? $"exit {report.Hops[^1].Router[..8]}" : "";
        screen.Output.WriteLine(report.Milliseconds is { } time ? $"{end}: {Words(time)}" : $"{end}: no answer in time");
        screen.Output.Flush();
    });

    public Command Trace() => Build("trace", "Measure the round trip to each hop of the path in use to a hidden service, or to the exit for any other name.", 1, (round, report) =>
    {
        List<IReadOnlyList<string>> rows = [.. report.Hops.Select((hop, i) => (IReadOnlyList<string>)[
            (i + 1).ToString(CultureInfo.InvariantCulture), hop.Role, hop.Router, hop.Milliseconds is { } time ? Words(time) : hop.Trouble])];
        if (report.Service.Length > 0)
        {
            rows.Add(["", "hidden", "the service's own hops", "not measured: nobody but the service knows them"]);
            rows.Add(["", "service", report.Service, report.Milliseconds is { } time ? Words(time) : report.Trouble]);
        }
        else
        {
            rows.Add(["", "outside", report.Name, report.Trouble]);
        }

        if (round > 0) screen.Output.WriteLine();
        screen.Table(["hop", "role", "router", "round trip"], rows);
    });

    private Command Build(string verb, string description, int rounds, Action<int, PingReport> show)
    {
        var name = new Argument<string>("name") { Description = "A name in .loki, or any other for the way to the exit.", HelpName = "NAME" };
        var count = new Option<int>("--count") { Description = $"How many times, a second apart: 1 to {MostRounds}.", HelpName = "N", DefaultValueFactory = _ => rounds };
        count.Validators.Add(r =>
        {
            if (r.Tokens.Count == 1 && int.TryParse(r.Tokens[0].Value, out int value) && value is < 1 or > MostRounds) r.AddError($"--count expects a number from 1 to {MostRounds}, found {value}");
        });
        Option<bool> json = CommandTree.Json();
        var process = new RunningProcess();
        var command = new Command(verb, description) { name, count, json };
        process.AddTo(command);
        command.SetAction(async (parsed, cancel) =>
        {
            if (process.Socket(parsed, screen) is not { } socket) return ExitCode.Usage;
            string target = parsed.GetRequiredValue(name);
            if (target.Length > 255 || target.AsSpan().ContainsAny(" \r\n\t\0")) throw new UserException(ExitCode.Usage, "OXN2001", "this is no name", "A name has letters, digits, dots and hyphens.");
            var reports = new List<PingReport>();
            for (int round = 0; round < parsed.GetValue(count); round++)
            {
                // As ping(8): one a second, or the measuring would be part of what is measured.
                if (round > 0) await Task.Delay(Between, cancel).ConfigureAwait(false);
                PingReport report = PingReport.Parse(await StatusSocket.AskAsync(socket, Patience, cancel, $"{StatusSocket.PingRequest} {target}").ConfigureAwait(false));
                if (report.Hops.Count == 0) throw new UserException(ExitCode.Network, "OXN5004", report.Trouble, "`oxen status` shows the client's paths and what it knows of the network.");
                reports.Add(report);
                if (!parsed.GetValue(json)) show(round, report);
            }

            if (parsed.GetValue(json)) WriteJson(target, reports);
            else if (verb == "ping") Summarise(reports);
            return reports.Exists(r => r.Milliseconds is not null) ? ExitCode.Ok : ExitCode.CheckFailed;
        });
        return command;
    }

    private void Summarise(List<PingReport> reports)
    {
        double[] times = [.. reports.Where(r => r.Milliseconds is not null).Select(r => r.Milliseconds!.Value)];
        string words = times.Length == 0 ? "none answered" : $"{times.Length} answered; least {Words(times.Min())}, mean {Words(times.Average())}, most {Words(times.Max())}";
        screen.Output.WriteLine($"{reports.Count} sent, {words}");
        if (reports[^1].Trouble.Length > 0) screen.Output.WriteLine(reports[^1].Trouble);
    }

    private void WriteJson(string target, List<PingReport> reports) => screen.Json(json =>
    {
        json.WriteString("name", target);
        json.WriteString("service", reports[^1].Service);
        json.WriteStartArray("rounds");
        foreach (PingReport report in reports)
        {
            json.WriteStartObject();
            if (report.Milliseconds is { } time) json.WriteNumber("milliseconds", Math.Round(time, 3));
            else json.WriteNull("milliseconds");
            json.WriteString("trouble", report.Trouble);
            json.WriteStartArray("hops");
            foreach (PingHop hop in report.Hops)
            {
                json.WriteStartObject();
                json.WriteString("router", hop.Router);
                json.WriteString("role", hop.Role);
                if (hop.Milliseconds is { } ms) json.WriteNumber("milliseconds", Math.Round(ms, 3));
                else json.WriteNull("milliseconds");
                json.WriteString("trouble", hop.Trouble);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    private static string Words(double milliseconds) => string.Create(CultureInfo.InvariantCulture, $"{milliseconds:F1} ms");
}
