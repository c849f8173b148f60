using System.CommandLine;
using Oxen.Ons.Ledger;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen wallet`: an account of the ledger. docs/protocol/ledger.md</summary>
internal sealed class WalletCommands(Screen screen)
{
    public Command Build() => new("wallet", "An account of the ledger: make one, see its balance, send, burn.") { New(), Balance(), Send(), Burn() };

    private Command New()
    {
        var to = new Option<string>("--out") { Description = "The key file to write.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("new", "Make a new account. Never overwrites a key.") { to, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(to);
            Bytes32 id = AccountFile.Create(path);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("account", id.ToString());
                    w.WriteString("file", path);
                });
            }
            else
            {
                screen.Facts("account", [("account", id.ToString()), ("file", path)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Balance()
    {
        Option<string> server = LedgerConnection.Server();
        var account = new Argument<string>("account") { Description = "The account: 64 hexadecimal digits, or its key file.", HelpName = "ACCOUNT" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("balance", "Show what an account has, in OXEN.") { account, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string text = parsed.GetRequiredValue(account);
            Bytes32 id;
            if (File.Exists(text))
            {
                using LedgerKey key = AccountFile.Load(text);
                id = key.Id;
            }
            else
            {
                id = LedgerConnection.Hash(text, "the account");
            }

            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            (ulong balance, ulong nonce) = await ledger.AccountAsync(id, cancel).ConfigureAwait(false);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("account", id.ToString());
                    w.WriteNumber("atomic", balance);
                    w.WriteString("oxen", OxenAmount.Format(balance));
                    w.WriteNumber("nonce", nonce);
                });
            }
            else
            {
                screen.Facts("account", [("account", id.ToString()), ("balance", OxenAmount.Format(balance) + " OXEN"), ("nonce", nonce.ToString())]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Send()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var to = new Argument<string>("to") { Description = "The account that gets it.", HelpName = "ACCOUNT" };
        var amount = new Argument<string>("amount") { Description = "How much, in OXEN.", HelpName = "OXEN" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("send", "Send OXEN to an account.") { to, amount, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            var body = new TransferBody(LedgerConnection.Hash(parsed.GetRequiredValue(to), "the account"), LedgerConnection.Amount(parsed.GetRequiredValue(amount), "the amount"));
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "transfer", (_, _, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => body), cancel);
        });
        return command;
    }

    private Command Burn()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var amount = new Argument<string>("amount") { Description = "How much, in OXEN.", HelpName = "OXEN" };
        var memo = new Option<string>("--memo") { Description = "Why, up to 96 visible ASCII characters; it stays on the ledger.", HelpName = "TEXT", DefaultValueFactory = _ => "" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("burn", "Destroy OXEN, for everybody to see.") { amount, memo, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            string text = parsed.GetRequiredValue(memo);
            if (text.Length > BurnBody.MaxMemoBytes || text.Any(c => c is < ' ' or > '~')) throw LedgerConnection.Misuse("--memo is no such text", "Up to 96 visible ASCII characters.");
            var body = new BurnBody(LedgerConnection.Amount(parsed.GetRequiredValue(amount), "the amount"), text);
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "burn", (_, _, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => body), cancel);
        });
        return command;
    }
}
