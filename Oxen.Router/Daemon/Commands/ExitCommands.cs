using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen exit`: what an exit's operator does about those who may use it.</summary>
internal sealed class ExitCommands(Screen screen)
{
    public Command Build() => new("exit", "Work with exits.") { new Command("token", "Tokens: with any in its configuration, an exit serves only who shows one.") { New() } };

    private Command New()
    {
        Option<int> sessions = Limit("--sessions", "Sessions at a time, of all who hold the token.", ExitTokenText.DefaultSessions);
        Option<int> streams = Limit("--streams", "Streams at a time, of all its sessions.", ExitTokenText.DefaultStreams);
        Option<bool> json = CommandTree.Json();
        var command = new Command("new", "Make a token: one part for its holder, one line for the exit's configuration. Nothing is written down.") { sessions, streams, json };
        command.SetAction(parsed =>
        {
            byte[] token = RandomNumberGenerator.GetBytes(ExitTokens.TokenBytes);
            string secret = ExitTokenText.Secret(token), line = ExitTokenText.Line(token, parsed.GetValue(sessions), parsed.GetValue(streams));
            CryptographicOperations.ZeroMemory(token);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("token", secret);
                    w.WriteString("line", line);
                });
            }
            else
            {
                screen.Facts("exit token", [("for its holder, in [[client.exits]]", $"token = \"{secret}\""), ("for the exit, in [exit]", $"tokens = [\"{line}\"]")]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static Option<int> Limit(string name, string text, int otherwise)
    {
        var option = new Option<int>(name) { Description = text, HelpName = "N", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(r =>
        {
            if (r.Tokens.Count == 1 && int.TryParse(r.Tokens[0].Value, CultureInfo.InvariantCulture, out int value) && value is < 1 or > 1_000_000) r.AddError($"{name} expects a number from 1 to 1000000, found {r.Tokens[0].Value}");
        });
        return option;
    }
}
