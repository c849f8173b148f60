// Fetches a page of a hidden service: HelloClient http://….loki/. Its network: Oxen__Contacts, Oxen__ContactsKey and Oxen__Network (docs/dotnet.md).
using Oxen.Router.Transport;

await using OxenClient oxen = await OxenClient.StartAsync(OxenClientOptions.FromEnvironment());
using var http = new HttpClient(new OnionHttpHandler(oxen));
Console.Write(await http.GetStringAsync(new Uri(args[0])));
