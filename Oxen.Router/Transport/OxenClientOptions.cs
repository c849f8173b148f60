using System.Globalization;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Transport;

/// <summary>
/// How a program joins a network. As settings (a section `Oxen` of its configuration, variables `Oxen__Contacts` and so on) the
/// names are those of the properties.
/// </summary>
public sealed class OxenClientOptions
{
    /// <summary>The file of the network's signed contact list.</summary>
    public string Contacts { get; set; } = "";

    /// <summary>The public key that the list is signed with, 64 hexadecimal digits. It comes another way than the list does.</summary>
    public string ContactsKey { get; set; } = "";

    /// <summary>The network's name, as its list has it.</summary>
    public string Network { get; set; } = "oxen";

    /// <summary>
    /// A directory for what is learnt of the network and for the guards, which should stay the same relays from run to run. Null:
    /// `oxen/NETWORK/PROGRAM` of the user's state directory. Empty: nothing is kept.
    /// </summary>
    public string? State { get; set; }

    /// <summary>Relays of a path, 2 to 8. To a hidden service the other side adds as many of its own.</summary>
    public int Hops { get; set; } = 4;

    /// <summary>Paths that are kept ready beside the one in use, 0 to 4.</summary>
    public int Spares { get; set; } = 1;

    /// <summary>The exit to leave by, as a router id of 64 hexadecimal digits; empty: any.</summary>
    public string Exit { get; set; } = "";

    /// <summary>
    /// Hidden services that let their clients in by keys, each with the file of this program's key for it (`oxen keygen --role client`).
    /// As a setting: `ADDRESS.loki: FILE`, several with semicolons between them.
    /// </summary>
    public IDictionary<string, string> ServiceKeys { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// What looks short names of `.loki` up: it gets requests through paths of this router, which end at relays that say they have the ledger.
    /// Null: whole addresses alone are understood. `UseNames` of Oxen.Ons sets it. A source that is disposable is disposed with the router.
    /// </summary>
    public Func<IPathRequests, INameSource>? Names { get; set; }

    /// <summary>Takes settings by their names, and refuses what it does not know.</summary>
    /// <param name="settings">Names of properties, in whatever case, and their values.</param>
    /// <param name="baseDirectory">What relative paths begin at; null: the current directory.</param>
    /// <exception cref="OxenException">A name is not known, or a value is not what it must be.</exception>
    public static OxenClientOptions From(IEnumerable<KeyValuePair<string, string?>> settings, string? baseDirectory = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var options = new OxenClientOptions();
        foreach ((string name, string? value) in settings) options.Set(name, value ?? "", baseDirectory ?? Directory.GetCurrentDirectory());
        return options;
    }

    /// <summary>Takes the variables of the environment that begin with `Oxen__`.</summary>
    /// <exception cref="OxenException">A name is not known, or a value is not what it must be.</exception>
    public static OxenClientOptions FromEnvironment()
    {
        const string prefix = "Oxen__";
        var settings = new List<KeyValuePair<string, string?>>();
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            string name = (string)variable.Key;
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)) settings.Add(new(name[prefix.Length..], (string?)variable.Value));
        }

        return From(settings);
    }

    /// <summary>The state directory that is meant; empty: none.</summary>
    internal string StateDirectory()
    {
        if (State is { } given) return given.Length == 0 ? "" : Path.GetFullPath(given);
        string home = Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } state ? state
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } user ? Path.Combine(user, ".local", "state")
            : "";
        return home.Length == 0 ? "" : Path.Combine(home, "oxen", Network, System.Reflection.Assembly.GetEntryAssembly()?.GetName().Name ?? "program");
    }

    /// <summary>The key that lists are signed with.</summary>
    /// <exception cref="OxenException">What must be there is missing or out of its range.</exception>
    internal RouterId Check()
    {
        if (Contacts.Length == 0) throw Wrong("Oxen:Contacts is missing: the file of the network's contact list", "Set it in appsettings.json or as the variable Oxen__Contacts. `oxen demo --endpoints FILE` writes a network's into FILE.");
        if (ContactsKey.Length == 0) throw Wrong("Oxen:ContactsKey is missing: the key that the contact list is signed with", "Ask whoever signs the list, and set it in appsettings.json or as the variable Oxen__ContactsKey.");
        if (!RouterId.TryParse(ContactsKey, out RouterId key)) throw Wrong($"Oxen:ContactsKey: expected 64 hexadecimal digits, found \"{ContactsKey}\"", "It is the public key of the list, not the list.");
        if (!ContactWords.TryNetworkId(Network, out _)) throw Wrong($"Oxen:Network: expected 1 to 32 visible ASCII characters, found \"{Network}\"", "It is the name that stands in the contact list.");
        Range(nameof(Hops), Hops, 2, 8);
        Range(nameof(Spares), Spares, 0, 4);
        if (Exit.Length > 0 && !RouterId.TryParse(Exit, out _)) throw Wrong($"Oxen:Exit: expected a router id of 64 hexadecimal digits, found \"{Exit}\"", "`oxen contacts show` tells the ids of a list.");
        foreach (string address in ServiceKeys.Keys) if (!ServiceAddress.TryParse(address, out _)) throw WrongServiceKey(address);
        return key;
    }

    /// <summary>Reads the keys' files; the caller wipes the secrets.</summary>
    /// <exception cref="OxenException">A file cannot be read, is open to others, or holds something else.</exception>
    internal void LoadServiceKeys(Dictionary<ServiceAddress, byte[]> into)
    {
        foreach ((string text, string file) in ServiceKeys)
        {
            if (ServiceAddress.TryParse(text, out ServiceAddress address)) into[address] = ServiceKeyFile.LoadClient(Path.GetFullPath(file));
        }
    }

    private void Set(string name, string value, string baseDirectory)
    {
        switch (name.ToLowerInvariant())
        {
            case "contacts":
                Contacts = value.Length == 0 ? "" : Path.Combine(baseDirectory, value);
                break;
            case "contactskey":
                ContactsKey = value;
                break;
            case "network":
                Network = value;
                break;
            case "state":
                State = value.Length == 0 ? "" : Path.Combine(baseDirectory, value);
                break;
            case "hops":
                Hops = Number(nameof(Hops), value);
                break;
            case "spares":
                Spares = Number(nameof(Spares), value);
                break;
            case "exit":
                Exit = value;
                break;
            case "servicekeys":
                ServiceKeys.Clear();
                foreach (string entry in value.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                {
                    int colon = entry.IndexOf(':', StringComparison.Ordinal);
                    string file = colon < 0 ? "" : entry[(colon + 1)..].Trim();
                    if (file.Length == 0 || !ServiceKeys.TryAdd(entry[..colon].Trim(), Path.Combine(baseDirectory, file))) throw WrongServiceKey(entry);
                }

                break;
            default:
                throw Wrong($"Oxen:{name} is no setting", "There are Contacts, ContactsKey, Network, State, Hops, Spares, Exit and ServiceKeys.");
        }
    }

    private static int Number(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : throw Wrong($"Oxen:{name}: expected a number, found \"{value}\"", "Leave it out for the default.");

    private static void Range(string name, int value, int from, int to)
    {
        if (value < from || value > to) throw Wrong(string.Create(CultureInfo.InvariantCulture, $"Oxen:{name}: expected {from} to {to}, found {value}"), "Leave it out for the default.");
    }

    private static OxenException WrongServiceKey(string entry) => Wrong($"Oxen:ServiceKeys: expected a service's address, once, and the file of this client's key, found \"{entry}\"", $"Such as ADDRESS.loki: client.key; an address has {ServiceAddress.TextLength} digits before .loki.");

    private static OxenException Wrong(string message, string remedy) => new("OXN2004", message, remedy);
}
