using System.CommandLine;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>How a verb names the running process that it asks: by its configuration or by its status socket.</summary>
internal sealed class RunningProcess
{
    private readonly Option<string?> _file = new("--config") { Description = "The TOML file of the running process.", HelpName = "FILE" };
    private readonly Option<string?> _socket = new("--socket") { Description = "Or its status socket.", HelpName = "FILE" };

    public void AddTo(Command command)
    {
        command.Add(_file);
        command.Add(_socket);
        command.Validators.Add(r =>
        {
            if ((r.GetResult(_file) is null) == (r.GetResult(_socket) is null)) r.AddError("name the process by --config FILE or by --socket FILE");
        });
    }

    /// <summary>The socket's path; null when the configuration has errors, which were told.</summary>
    /// <exception cref="UserException">The configuration has no status socket.</exception>
    public string? Socket(ParseResult parsed, Screen screen)
    {
        if (parsed.GetValue(_file) is not { } configFile) return parsed.GetValue(_socket);
        RouterConfig? config = ConfigReader.ReadFile(configFile, out IReadOnlyList<ConfigDiagnostic> diagnostics);
        if (config is null)
        {
            foreach (ConfigDiagnostic d in diagnostics) screen.ErrorOutput.WriteLine(d);
            return null;
        }

        return config.StatusSocket ?? throw new UserException(ExitCode.Usage, "OXN2001", "this configuration switches the status socket off", "Set `status` in [router], and start the process again.");
    }
}
