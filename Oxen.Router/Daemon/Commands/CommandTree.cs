using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Reflection;
using System.Runtime.InteropServices;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Commands;

/// <summary>The verbs whose work lives elsewhere. A verb without a body is not offered.</summary>
internal sealed record CommandBodies
{
    public Func<DemoOptions, Screen, CancellationToken, Task<int>>? Demo { get; init; }

    public Func<RunOptions, Screen, CancellationToken, Task<int>>? Run { get; init; }
}

/// <summary>The command line of `oxen`: verbs, options and what is wrong with them. Each verb is one method below.</summary>
internal sealed class CommandTree(Screen screen, CommandBodies bodies)
{
    public static string Version => typeof(CommandTree).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    /// <summary>Runs one command line to its end and returns the exit code. Never throws; never shows a stack trace unless OXEN_DEBUG=1.</summary>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        try
        {
            RootCommand root = Build();
            ParseResult parsed = root.Parse(arguments.Count == 0 ? ["--help"] : arguments);
            if (parsed.Errors.Count > 0) return Misused(root, parsed);
            return await parsed.InvokeAsync(new InvocationConfiguration { Output = screen.Output, Error = screen.ErrorOutput, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancel).ConfigureAwait(false);
        }
        catch (OxenException e)
        {
            screen.Error(e);
            return ExitCode.Of(e);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return ExitCode.Ok;
        }
        catch (Exception e)
        {
            screen.Error("OXN9000", $"something broke that should not: {e.Message}", "Set OXEN_DEBUG=1 to see where, and please report it.");
            if (Screen.ShowsTraces) screen.ErrorOutput.WriteLine(e);
            return ExitCode.Internal;
        }
    }

    private RootCommand Build()
    {
        var root = new RootCommand("oxen: an onion packet router. Private TCP and UDP through several relays and an exit.");
        foreach (Option option in root.Options.OfType<VersionOption>().ToArray()) root.Options.Remove(option);
        if (bodies.Demo is not null) root.Add(Demo(bodies.Demo));
        if (bodies.Run is not null) root.Add(Run(bodies.Run));
        root.Add(new StatusVerb(screen).Build());
        var ping = new PingVerbs(screen);
        root.Add(ping.Ping());
        root.Add(ping.Trace());
        if (bodies.Run is not null) root.Add(new KillSwitchVerb(screen).Build());
        root.Add(KeyGen());
        var contacts = new ContactVerbs(screen);
        root.Add(contacts.Contact());
        root.Add(contacts.Contacts());
        root.Add(new ExitCommands(screen).Build());
        root.Add(new OnsCommands(screen).Build());
        root.Add(new WalletCommands(screen).Build());
        root.Add(new NodeCommands(screen).Build());
        root.Add(new LedgerCommands(screen).Build());
        root.Add(new SwarmCommands(screen).Build());
        var config = new Command("config", "Work with configuration files.") { ConfigCheck() };
        root.Add(config);
        root.Add(ShowVersion());
        return root;
    }

    private int Misused(RootCommand root, ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        string? unknown = parsed.UnmatchedTokens is [string first, ..] ? first : null;
        string? near = unknown is null ? null : Nearest.Find(unknown, command.Subcommands.Select(c => c.Name).Concat(command.Options.Select(o => o.Name)));
        string verb = command == root ? "oxen" : $"oxen {string.Join(' ', Path(parsed))}";
        string help = $"`{verb} --help` shows what it takes.";
        foreach (string message in parsed.Errors.Select(e => e.Message.TrimEnd('.')).Distinct())
        {
            screen.Error("OXN2001", message, near is null ? help : $"Did you mean `{near}`? {help}");
        }

        return ExitCode.Usage;
    }

    private static IEnumerable<string> Path(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (SymbolResult? at = parsed.CommandResult; at is CommandResult { Command: not RootCommand } command; at = at.Parent) names.Push(command.Command.Name);
        return names;
    }

    private Command ShowVersion()
    {
        var json = Json();
        var command = new Command("version", "Show the version of this program.") { json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("version", Version);
                    w.WriteString("runtime", RuntimeInformation.FrameworkDescription);
                    w.WriteString("platform", RuntimeInformation.RuntimeIdentifier);
                });
            }
            else
            {
                screen.Facts("oxen", [("oxen", Version), ("runtime", RuntimeInformation.FrameworkDescription), ("platform", RuntimeInformation.RuntimeIdentifier)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command KeyGen()
    {
        var to = new Option<string>("--out") { Description = "Directory for the key files; made if it is missing.", HelpName = "DIR", Required = true };
        var role = new Option<string>("--role") { Description = "What the keys are for: relay (identity.key and onion.key), list (list.key, which signs contact lists), service (service.key of a hidden service) or client (client.key, by which services let somebody in).", HelpName = "ROLE", DefaultValueFactory = _ => IdentityFile.RelayRole };
        role.AcceptOnlyFromAmong(IdentityFile.RelayRole, IdentityFile.ListRole, ServiceKeyFile.ServiceRole, ServiceKeyFile.ClientRole);
        var json = Json();
        var command = new Command("keygen", "Make new keys. Never overwrites one.") { to, role, json };
        command.SetAction(parsed =>
        {
            string kind = parsed.GetRequiredValue(role);
            string directory = parsed.GetRequiredValue(to);
            if (kind is ServiceKeyFile.ServiceRole or ServiceKeyFile.ClientRole)
            {
                ShowServiceKey(kind, directory, parsed.GetValue(json));
                return ExitCode.Ok;
            }

            string? onion = kind == IdentityFile.RelayRole ? System.IO.Path.Combine(directory, OnionKeyFile.Name) : null;
            if (File.Exists(onion)) throw SecretFile.Exists(onion);
            (string path, Core.Directory.RouterId id) = IdentityFile.Create(directory, kind);
            if (onion is not null) OnionKeyFile.Create(directory);
            string idName = onion is null ? "list_key" : "router_id";
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("role", kind);
                    w.WriteString(idName, id.ToString());
                    w.WriteString("file", path);
                    if (onion is not null) w.WriteString("onion_file", onion);
                });
            }
            else
            {
                screen.Facts("new keys", [("role", kind), (idName.Replace('_', ' '), id.ToString()), ("file", path), .. onion is null ? [] : new (string, string)[] { ("onion file", onion) }]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private void ShowServiceKey(string role, string directory, bool json)
    {
        string path, value, name = role == ServiceKeyFile.ServiceRole ? "address" : "key";
        if (role == ServiceKeyFile.ServiceRole)
        {
            (path, Core.Hidden.ServiceAddress address) = ServiceKeyFile.CreateService(directory);
            value = address.ToString();
        }
        else
        {
            (path, value) = ServiceKeyFile.CreateClient(directory);
        }

        if (json)
        {
            screen.Json(w =>
            {
                w.WriteString("role", role);
                w.WriteString(name, value);
                w.WriteString("file", path);
            });
        }
        else
        {
            screen.Facts("new key", [("role", role), (name, value), ("file", path)]);
        }
    }

    private Command ConfigCheck()
    {
        var file = new Argument<string>("file") { Description = "The TOML file.", HelpName = "FILE" };
        var json = Json();
        var command = new Command("check", "Read a configuration file and report everything that is wrong with it.") { file, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(file);
            RouterConfig? config = ConfigReader.ReadFile(path, out IReadOnlyList<ConfigDiagnostic> diagnostics);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteBoolean("ok", config is not null);
                    w.WriteString("file", path);
                    w.WriteStartArray("diagnostics");
                    foreach (ConfigDiagnostic d in diagnostics)
                    {
                        w.WriteStartObject();
                        w.WriteNumber("line", d.Line);
                        w.WriteNumber("column", d.Column);
                        w.WriteString("code", d.Code);
                        w.WriteString("message", d.Message);
                        w.WriteString("remedy", d.Remedy);
                        w.WriteEndObject();
                    }

                    w.WriteEndArray();
                });
            }
            else if (config is null)
            {
                foreach (ConfigDiagnostic d in diagnostics) screen.ErrorOutput.WriteLine(d);
            }
            else
            {
                screen.Facts("configuration", [
                    ("file", path), ("roles", config.Roles.ToString().ToLowerInvariant()), ("listen", config.Listen.ToString()),
                    ("socks", config.Client.Socks?.ToString() ?? "off"), ("http", config.Client.Http?.ToString() ?? "off"),
                    ("hops", config.Client.Hops.ToString(System.Globalization.CultureInfo.InvariantCulture)), ("exit rules", config.Exit.Rules.Count.ToString(System.Globalization.CultureInfo.InvariantCulture)),
                    .. config.Services.Count == 0 ? [] : new (string, string)[] { ("services", string.Join(", ", config.Services.Select(s => s.Name))) }, ("result", "valid")]);
            }

            return config is null ? ExitCode.Usage : ExitCode.Ok;
        });
        return command;
    }

    private Command Run(Func<RunOptions, Screen, CancellationToken, Task<int>> body)
    {
        var file = new Option<string>("--config") { Description = "The TOML file; oxen.example.toml explains each setting.", HelpName = "FILE", Required = true };
        var stdin = new Option<bool>("--stdin") { Description = "Stop when standard input ends: for programs that start this one." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object a line for each event: ready, stopping, stopped." };
        var command = new Command("run", "Run a relay, an exit or a client, as the configuration says.") { file, stdin, json };
        command.SetAction((parsed, cancel) =>
        {
            string path = parsed.GetRequiredValue(file);
            RouterConfig? config = ConfigReader.ReadFile(path, out IReadOnlyList<ConfigDiagnostic> diagnostics);
            if (config is not null) return body(new RunOptions(config, path) { EndsWithInput = parsed.GetValue(stdin), Json = parsed.GetValue(json) }, screen, cancel);
            foreach (ConfigDiagnostic d in diagnostics) screen.ErrorOutput.WriteLine(d);
            return Task.FromResult(ExitCode.Usage);
        });
        return command;
    }

    private Command Demo(Func<DemoOptions, Screen, CancellationToken, Task<int>> body)
    {
        var defaults = new DemoOptions();
        Option<int> relays = Number("--relays", "Relays to start.", defaults.Relays, 3, 64);
        Option<int> exits = Number("--exits", "Exits to start.", defaults.Exits, 1, 8);
        Option<int> hops = Number("--hops", "Routers on a path, the exit included.", defaults.Hops, 2, 8);
        Option<int> spares = Number("--spares", "Warm paths beside the one in use.", defaults.Spares, 0, 4);
        Option<IPEndPoint> socks = Address("--socks", "Where the SOCKS5 proxy listens.", defaults.Socks);
        Option<IPEndPoint> http = Address("--http", "Where the HTTP proxy listens.", defaults.Http);
        var seconds = new Option<double?>("--seconds") { Description = "Stop by itself after so many seconds.", HelpName = "N" };
        seconds.Validators.Add(r => { if (r.Tokens.Count == 1 && r.GetValueOrDefault<double?>() is not (> 0 and <= 31_536_000)) r.AddError("--seconds expects a number above 0"); });
        var seed = new Option<ulong?>("--seed") { Description = "Repeat an earlier run: the same keys and the same choice of relays.", HelpName = "N" };
        var endpoints = new Option<string?>("--endpoints") { Description = "Write every address as one JSON object to this file, once all is ready.", HelpName = "FILE" };
        var processes = new Option<bool>("--processes") { Description = "Give each router its own process." };
        var tun = new Option<bool>("--tun") { Description = "Each router in a network namespace of its own, and a tunnel: any program in the client's namespace goes through it. For root." };
        var netns = new Option<string>("--netns") { Description = "With --tun: what the namespaces' names begin with.", HelpName = "NAME", DefaultValueFactory = _ => defaults.Netns };
        netns.Validators.Add(r => { if (r.Tokens.Count == 1 && !LabPlan.IsPrefix(r.Tokens[0].Value)) r.AddError($"--netns expects at most {LabPlan.MostPrefixLength} small letters, digits and hyphens, a letter first, found {r.Tokens[0].Value}"); });
        var check = new Option<bool>("--check") { Description = "Move data, compare, break a relay, print a table; exits 0 if all is well, 1 if not." };
        var json = Json();
        var command = new Command("demo", "A whole network on this machine, with real traffic through it.") { relays, exits, hops, spares, socks, http, seconds, seed, endpoints, processes, tun, netns, check, json };
        command.SetAction((parsed, cancel) => body(
            Sound(new DemoOptions
            {
                Relays = parsed.GetValue(relays),
                Exits = parsed.GetValue(exits),
                Hops = parsed.GetValue(hops),
                Spares = parsed.GetValue(spares),
                Socks = parsed.GetRequiredValue(socks),
                Http = parsed.GetRequiredValue(http),
                Duration = parsed.GetValue(seconds) is { } s ? TimeSpan.FromSeconds(s) : null,
                Seed = parsed.GetValue(seed),
                EndpointsFile = parsed.GetValue(endpoints),
                Processes = parsed.GetValue(processes),
                Tun = parsed.GetValue(tun),
                Netns = parsed.GetRequiredValue(netns),
                Check = parsed.GetValue(check),
                Json = parsed.GetValue(json),
            }),
            screen,
            cancel));
        return command;
    }

    // A path takes each router once, and its last is an exit.
    private static DemoOptions Sound(DemoOptions options)
    {
        string? wrong = options.Relays < options.Hops - 1 ? $"--hops {options.Hops} needs at least {options.Hops - 1} relays, --relays says {options.Relays}"
            : options.Socks.Port != 0 && options.Socks.Equals(options.Http) ? "--socks and --http name the same address"
            : options.Tun && options.Seed is not null ? "--seed steers one process, and with --tun the client is another"
            : options.Tun && (options.Socks.Port == 0 || options.Http.Port == 0) ? "--tun gives the client a machine of its own: name the proxies' ports, none is taken there"
            : null;
        return wrong is null ? options : throw new UserException(ExitCode.Usage, "OXN2001", wrong, "`oxen demo --help` shows what it takes.");
    }

    internal static Option<bool> Json() => new("--json") { Description = "Print one JSON object." };

    private static Option<int> Number(string name, string description, int otherwise, int least, int most)
    {
        var option = new Option<int>(name) { Description = $"{description} {least} to {most}.", HelpName = "N", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(r =>
        {
            if (r.Tokens.Count == 1 && int.TryParse(r.Tokens[0].Value, out int value) && (value < least || value > most)) r.AddError($"{name} expects a number from {least} to {most}, found {value}");
        });
        return option;
    }

    private static Option<IPEndPoint> Address(string name, string description, IPEndPoint otherwise) => new(name)
    {
        Description = description + " Port 0 takes a free one.",
        HelpName = "ADDR:PORT",
        DefaultValueFactory = _ => otherwise,
        CustomParser = r =>
        {
            string text = r.Tokens.Count == 1 ? r.Tokens[0].Value : "";
            if (ConfigReader.TryEndPoint(text, out IPEndPoint? endPoint)) return endPoint;
            r.AddError($"{name} expects ADDR:PORT such as 127.0.0.1:1080 or [::1]:1080, found {text}");
            return null;
        },
    };
}
