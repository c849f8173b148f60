using System.CommandLine;
using System.Globalization;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen killswitch`: looks at the rules that `kill_switch = true` leaves, and takes them away.</summary>
internal sealed class KillSwitchVerb(Screen screen)
{
    public Command Build() => new("killswitch", "The rules that let nothing past the tunnel (`kill_switch` in [tun]); they stay when the program ends.") { Status(), Off() };

    private Command Status()
    {
        Option<bool> json = CommandTree.Json();
        var command = new Command("status", "Say whether it is on, and how many packets it has refused.") { json };
        command.SetAction(parsed =>
        {
            long? refused = KillSwitch.Refusals();
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteBoolean("on", refused is not null);
                    w.WriteNumber("refused", refused ?? 0);
                });
            }
            else
            {
                screen.Facts("kill switch", [("state", refused is null ? "off" : "on"), ("packets refused", (refused ?? 0).ToString(CultureInfo.InvariantCulture))]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Off()
    {
        var command = new Command("off", "Take the rules away: programs then send in the clear if no tunnel is up.");
        command.SetAction(_ =>
        {
            screen.Output.WriteLine(KillSwitch.Remove() ? "The kill switch is off." : "The kill switch was not on.");
            return ExitCode.Ok;
        });
        return command;
    }
}
